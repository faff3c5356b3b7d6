"""How much better each completion is than its group."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cropi.types import BoolArray, FloatArray

Scale = Literal["std", "none"]
Baseline = Literal["mean", "leave_one_out"]

# GRPO's floor under the standard deviation (DeepSeekMath 2402.03300; the same in CROPI's release).
STD_FLOOR = 1e-4


def varied_groups(rewards: npt.ArrayLike) -> BoolArray:
    """Which groups hold two different rewards: rewards [P, G], NaN for none; returns bool [P].

    Compared by maximum and minimum: the standard deviation of seven times 0.35 is not 0 in
    floating point, and would be divided by itself.
    """
    values = np.asarray(rewards, dtype=np.float64)
    scored = ~np.isnan(values)
    highest = np.where(scored, values, -np.inf).max(axis=1)
    lowest = np.where(scored, values, np.inf).min(axis=1)
    varied: BoolArray = highest > lowest
    return varied


def group_advantages(
    rewards: npt.ArrayLike, scale: Scale = "std", baseline: Baseline = "mean"
) -> FloatArray:
    """Rewards less a baseline, over the group's standard deviation (ddof 1) + 1e-4 under ``std``.

    The baseline is the group's mean, or for each completion the mean of the others
    (``leave_one_out``: RLOO, 2402.14740), which makes every advantage n / (n - 1) times as large.

    rewards [P, G] with NaN where a completion has no reward; returns float64 [P, G]. A completion
    without reward has advantage 0 and is no part of its group's mean and deviation. A group whose
    rewards are equal, or that has fewer than two, is exactly 0.
    """
    values = np.asarray(rewards, dtype=np.float64)
    scored = ~np.isnan(values)
    count: npt.NDArray[Any] = scored.sum(axis=1, keepdims=True)
    total = np.where(scored, values, 0.0).sum(axis=1, keepdims=True)
    advantages = np.where(scored, values - total / np.maximum(count, 1), 0.0)
    if scale == "std":
        squares = np.square(advantages).sum(axis=1, keepdims=True)
        advantages = advantages / (np.sqrt(squares / np.maximum(count - 1, 1)) + STD_FLOOR)
    if baseline == "leave_one_out":
        advantages = advantages * count / np.maximum(count - 1, 1)
    return np.where(varied_groups(values)[:, None], advantages, 0.0)
