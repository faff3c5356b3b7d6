"""The clipped policy loss and the three ways of averaging it over tokens.

A loss is a weighted sum over tokens, and the weights are those of the whole mini-batch. So the
sum of the micro-batches' gradients is the mini-batch's gradient, however it was cut up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropi.trainers.kl import Estimator, kl_penalty
from cropi.trainers.ratios import bounded_exp
from cropi.types import BoolArray, FloatArray

Mode = Literal["grpo", "dapo", "dr_grpo"]

# A token whose ratio leaves this band before any update was scored differently by the sampler.
BAND = (0.9, 1.1)


def response_weights(
    mode: Mode, lengths: npt.NDArray[np.int64], kept: BoolArray, longest: int
) -> FloatArray:
    """What one token of each response weighs: lengths int [N], kept bool [N]; float64 [N].

    ``grpo``: mean over a response's tokens, then over responses (DeepSeekMath 2402.03300).
    ``dapo``: mean over all tokens (2503.14476). ``dr_grpo``: sum over tokens, divided by the
    number of responses times ``longest``, the most tokens a response may have (2503.20783). A
    response that is not kept weighs 0 and is counted in no denominator; an empty one is counted
    as a response.
    """
    responses = max(int(kept.sum()), 1)
    match mode:
        case "grpo":
            weights = 1.0 / (responses * np.maximum(lengths, 1))
        case "dapo":
            weights = np.full(len(lengths), 1.0 / max(int(lengths[kept].sum()), 1))
        case "dr_grpo":
            weights = np.full(len(lengths), 1.0 / (responses * longest))
    return np.where(kept, weights, 0.0)


@dataclass(frozen=True)
class Objective:
    """What is minimised, token by token: −min(r·A, clip(r, 1−low, 1+high)·A) + beta·KL − c·H.

    ``kl_correction`` multiplies the KL estimate by the ratio r, which gives it the divergence's
    own gradient whichever estimator it is (DeepSeek-V3.2, 2512.02556).
    """

    clip_low: float = 0.2
    clip_high: float = 0.2
    beta: float = 0.0
    estimator: Estimator = "k3"
    kl_correction: bool = False
    entropy_coefficient: float = 0.0


@dataclass(frozen=True)
class LossInputs:
    """One micro-batch of B responses of at most T tokens.

    log_probs (differentiable), old_log_probs, behaviour_log_probs, reference_log_probs and
    entropy: [B, T]; mask bool [B, T]; advantages and weights: [B].
    """

    log_probs: Tensor
    old_log_probs: Tensor
    behaviour_log_probs: Tensor
    mask: Tensor
    advantages: Tensor
    weights: Tensor
    entropy: Tensor
    reference_log_probs: Tensor | None = None  # needed when beta > 0


@dataclass(frozen=True)
class LossOutput:
    """The micro-batch's share of the loss, and sums over its ``tokens`` (detached) to average."""

    loss: Tensor
    tokens: int
    sums: dict[str, Tensor]


def policy_loss(inputs: LossInputs, objective: Objective) -> LossOutput:
    """The weighted sum over tokens of ``objective``, and what to log about the ratios."""
    mask = inputs.mask
    log_ratio = inputs.log_probs - inputs.old_log_probs
    ratio = bounded_exp(log_ratio)
    low, high = 1.0 - objective.clip_low, 1.0 + objective.clip_high
    advantages = inputs.advantages.unsqueeze(1)
    token_loss = -torch.minimum(ratio * advantages, ratio.clamp(low, high) * advantages)
    measured = {}
    if objective.beta > 0.0:
        if inputs.reference_log_probs is None:
            raise ValueError("beta > 0 needs the reference's log-probs")
        kl = kl_penalty(inputs.log_probs, inputs.reference_log_probs, objective.estimator)
        if objective.kl_correction:
            kl = kl * ratio
        token_loss = token_loss + objective.beta * kl
        measured["kl"] = kl
    if objective.entropy_coefficient != 0.0:
        token_loss = token_loss - objective.entropy_coefficient * inputs.entropy
    loss = (token_loss.masked_fill(~mask, 0.0).sum(dim=1) * inputs.weights).sum()

    with torch.no_grad():
        is_low = (ratio < low) & (advantages < 0)
        is_high = (ratio > high) & (advantages > 0)
        gap = inputs.old_log_probs - inputs.behaviour_log_probs
        measured |= {
            "entropy": inputs.entropy,
            "clip_ratio/low_mean": is_low,
            "clip_ratio/high_mean": is_high,
            "clip_ratio/region_mean": is_low | is_high,
            "ratio/mean": ratio,
            "ratio/abs_log_mean": log_ratio.abs(),
            "ratio/out_of_band": _out_of_band(ratio),
            "sampling/sampling_logp_difference/mean": gap.abs(),
            "sampling/ratio_out_of_band": _out_of_band(bounded_exp(gap)),
        }
        sums = {name: value.masked_fill(~mask, 0).sum() for name, value in measured.items()}
    return LossOutput(loss, int(mask.sum()), sums)


def _out_of_band(ratio: Tensor) -> Tensor:
    return (ratio < BAND[0]) | (ratio > BAND[1])
