"""The clipped policy loss and the three ways of averaging it over tokens.

A loss is a weighted sum over tokens, and the weights are those of the whole mini-batch. So the
sum of the micro-batches' gradients is the mini-batch's gradient, however it was cut up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cropi.trainers.correction import Correction, correction_weights
from cropi.trainers.kl import Estimator, kl_penalty
from cropi.trainers.ratios import bounded_exp
from cropi.types import BoolArray, FloatArray

Mode = Literal["grpo", "dapo", "dr_grpo"]
Surrogate = Literal["clip", "cispo"]
RatioOf = Literal["token", "sequence"]

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
    """What is minimised, token by token: w·policy term + beta·KL − c·H.

    The policy term is −min(r·A, clip(r, 1−low, 1+high)·A) under ``clip``, and
    −clip(r, 1−low, 1+high)·A·log π with the clipped ratio held constant under ``cispo``
    (2506.13585), where clipped tokens go on teaching. The ratio r is a token's own, or under
    ``sequence`` the geometric mean over its response (GSPO, 2507.18071). w is the sampler's
    ``correction``. ``kl_correction`` multiplies the KL estimate by r, which gives it the
    divergence's own gradient whichever estimator it is (DeepSeek-V3.2, 2512.02556).
    """

    surrogate: Surrogate = "clip"
    ratio: RatioOf = "token"
    clip_low: float = 0.2
    clip_high: float = 0.2
    correction: Correction = field(default_factory=Correction)
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
    """The micro-batch's share of the loss, and what to average: sum and count by name.

    Counted are tokens, and sequences for what a sequence has one of. Sums are detached.
    """

    loss: Tensor
    sums: dict[str, Tensor]
    counts: dict[str, int]


def policy_loss(inputs: LossInputs, objective: Objective) -> LossOutput:
    """The weighted sum over tokens of ``objective``, and what to log about the ratios."""
    mask = inputs.mask
    log_ratio = inputs.log_probs - inputs.old_log_probs
    token_ratio = bounded_exp(log_ratio)
    ratio = token_ratio if objective.ratio == "token" else sequence_ratio(log_ratio, mask)
    low, high = 1.0 - objective.clip_low, 1.0 + objective.clip_high
    advantages = inputs.advantages.unsqueeze(1)
    clipped = ratio.clamp(low, high)
    if objective.surrogate == "clip":
        token_loss = -torch.minimum(ratio * advantages, clipped * advantages)
    else:
        token_loss = -clipped.detach() * advantages * inputs.log_probs
    gap = inputs.old_log_probs - inputs.behaviour_log_probs
    measured = {}
    if objective.correction.kind != "none":
        weights = correction_weights(gap, mask, objective.correction)
        token_loss = token_loss * weights
        measured["sampling/importance_sampling_ratio/mean"] = weights
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
        measured |= {
            "entropy": inputs.entropy,
            "clip_ratio/low_mean": is_low,
            "clip_ratio/high_mean": is_high,
            "clip_ratio/region_mean": is_low | is_high,
            "ratio/mean": token_ratio,
            "ratio/abs_log_mean": log_ratio.abs(),
            "ratio/out_of_band": _out_of_band(token_ratio),
            "sampling/sampling_logp_difference/mean": gap.abs(),
            "sampling/ratio_out_of_band": _out_of_band(bounded_exp(gap)),
        }
        sums, counts = {}, {}
        for name, value in measured.items():
            whose = mask if value.shape == mask.shape else mask.any(dim=1, keepdim=True)
            sums[name] = value.masked_fill(~whose, 0).sum()
            counts[name] = int(whose.sum())
    return LossOutput(loss, sums, counts)


def sequence_ratio(log_ratio: Tensor, mask: Tensor) -> Tensor:
    """[B, 1] geometric mean of the tokens' ratios: log_ratio [B, T], mask bool [B, T].

    The mean of the logarithms, so that 1000 tokens of −0.001 give 0.999 and not 0.368 (trl#5814).
    """
    total = log_ratio.masked_fill(~mask, 0.0).sum(dim=1, keepdim=True)
    return bounded_exp(total / mask.sum(dim=1, keepdim=True).clamp(min=1))


def _out_of_band(ratio: Tensor) -> Tensor:
    return (ratio < BAND[0]) | (ratio > BAND[1])
