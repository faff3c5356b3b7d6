"""Pass-rate estimates of a pool, from the stored rollouts or the latest training groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cropi.types import BoolArray, FloatArray, Group, Prompt


@dataclass(frozen=True)
class PassRates:
    """mean, variance float64 [N] of correctness where scorable; count int64 [N]; known bool [N].

    ``variance`` is the unbiased one, which for right or wrong is k(K−k)/(K(K−1)): the unbiased
    estimate of p(1−p). It is 0 and not ``resolved`` where fewer than two can be scored.
    """

    mean: FloatArray
    variance: FloatArray
    count: np.ndarray
    fresh: BoolArray  # taken from training rather than from the stored rollouts

    @property
    def known(self) -> BoolArray:
        return self.count > 0

    @property
    def resolved(self) -> BoolArray:
        return self.count > 1


def pass_rates(
    pool: Sequence[Prompt],
    rollouts: Mapping[str, Group],
    latest: Mapping[str, Sequence[float]] | None = None,
) -> PassRates:
    """One estimate a prompt: from ``latest`` (correctness by prompt id) where it has the prompt."""
    n = len(pool)
    mean, variance = np.zeros(n), np.zeros(n)
    count, fresh = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
    for place, prompt in enumerate(pool):
        right = np.empty(0)
        if latest is not None and prompt.id in latest:
            right, fresh[place] = np.asarray(latest[prompt.id], dtype=np.float64), True
        elif prompt.id in rollouts:
            right = rollouts[prompt.id].correctness
        right = right[~np.isnan(right)]
        count[place] = right.size
        if right.size:
            mean[place] = right.mean()
        if right.size > 1 and right.max() > right.min():
            variance[place] = right.var(ddof=1)
    return PassRates(mean, variance, count, fresh)
