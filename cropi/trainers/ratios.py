"""Probability ratios that cannot overflow."""

from __future__ import annotations

from torch import Tensor

# exp(20) = 4.9e8: far above any ratio that training can use, far below float32's maximum.
LIMIT = 20.0


def bounded_exp(log_ratio: Tensor, limit: float = LIMIT) -> Tensor:
    """exp(x) up to ``limit``, and its tangent there beyond it.

    Unlike a clamp, which has no gradient (and leaves k3 one of the wrong sign), the tangent keeps
    pulling a runaway token back, with a slope of at most exp(limit).
    """
    capped = log_ratio.clamp(max=limit)
    return capped.exp() * (1.0 + (log_ratio - capped))
