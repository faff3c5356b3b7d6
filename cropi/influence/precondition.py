"""Which ruler to measure gradients with: the optimiser's second moment, or the validation sets'.

Every gradient g, of training and validation prompts alike, becomes g / √(v + damping · mean v), so
that inner products are gᵀ V⁻¹ g′: directions in which all gradients are large count for less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor

from cropi.influence.engine import Gradients, shapes_of
from cropi.policies.policy import Policy

Precondition = Literal["none", "adam", "validation_diag"]


def scale_of(second_moment: Mapping[str, Tensor], damping: float) -> dict[str, Tensor]:
    """1 / √(v + damping · mean v) for every coordinate; the mean is over all of them.

    The damping keeps a coordinate that was hardly ever used (v near 0) from ruling the rest.
    """
    total = sum(float(v.double().sum()) for v in second_moment.values())
    count = sum(v.numel() for v in second_moment.values())
    floor = damping * total / max(count, 1)
    if floor == 0.0:
        raise ValueError("the second moment is zero everywhere")
    return {name: torch.rsqrt(v.float() + floor) for name, v in second_moment.items()}


def mean_square(gradients: Iterable[Gradients], policy: Policy) -> dict[str, Tensor]:
    """Mean squared gradient by parameter name, of full rows in the model's order."""
    shapes = shapes_of(policy)
    total: Tensor | None = None
    count = 0
    for part in gradients:
        squares = part.rows.float().square()
        kept = torch.from_numpy(part.columns["finite"] > 0).to(squares.device)
        total = squares[kept].sum(dim=0) if total is None else total + squares[kept].sum(dim=0)
        count += int(kept.sum())
    if total is None or count == 0:
        raise ValueError("there is no gradient to take the mean square of")
    parts = (total / count).split([shape.numel for shape in shapes])
    return {s.name: v.view(s.shape) for s, v in zip(shapes, parts, strict=True)}


def second_moment_of(
    kind: Precondition,
    optimiser: Callable[[], Mapping[str, Tensor] | None],
    validation: Callable[[], dict[str, Tensor]],
) -> Mapping[str, Tensor]:
    """``adam`` is the optimiser's, and the validation gradients' before its first step."""
    moments = optimiser() if kind == "adam" else None
    return validation() if moments is None else moments
