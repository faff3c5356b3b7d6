"""Weights for trajectories whose sampler is not quite the policy that learns from them.

An inference engine rounds differently from the trainer, so the token was drawn with a slightly
other probability than the one the loss divides by. The ratio of the two is an importance weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from cropi.trainers.ratios import bounded_exp

Kind = Literal["none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]


@dataclass(frozen=True)
class Correction:
    """``truncate`` caps the weight at ``high``; ``mask`` drops weights outside [low, high].

    ``token`` weighs every token by its own ratio, ``sequence`` by its trajectory's, which is the
    product over the tokens, not their mean (trl#5814).
    """

    kind: Kind = "none"
    low: float = 0.0
    high: float = 2.0


def correction_weights(gap: Tensor, mask: Tensor, correction: Correction) -> Tensor:
    """Weights [B, T], or [B, 1] for a sequence: gap [B, T] = trainer's less sampler's log-probs.

    mask bool [B, T]. Truncated importance sampling: 2505.24034 and the appendix of 2510.18855;
    masked: IcePop and its sequence form.
    """
    log_ratio = gap.detach().masked_fill(~mask, 0.0)
    if correction.kind.startswith("sequence"):
        log_ratio = log_ratio.sum(dim=1, keepdim=True)
    ratio = bounded_exp(log_ratio)
    if correction.kind.endswith("truncate"):
        return ratio.clamp(max=correction.high)
    outside = (ratio < correction.low) | (ratio > correction.high)
    return ratio.masked_fill(outside, 0.0)
