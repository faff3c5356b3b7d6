"""How sure a mean is: intervals for few seeds, and many tests at once.

Pure functions. hydra_ux.md, section 4, measured what each interval covers: with three to ten seeds
the t-interval keeps its promise and the percentile bootstrap does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cropi.runtime.seeds import stream
from cropi.types import FloatArray

CONFIDENCE = 0.95
DRAWS = 2000  # of a bootstrap


@dataclass(frozen=True)
class Summary:
    """A mean over seeds. One seed has no deviation and no interval."""

    mean: float
    n: int
    deviation: float | None = None  # sample standard deviation, n - 1
    low: float | None = None
    high: float | None = None


def summary(values: Sequence[float]) -> Summary:
    """Mean, sample deviation and 95 % t-interval of ``values`` [n], n >= 1."""
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Summary(mean, n)
    deviation = float(np.std(values, ddof=1))
    half = t_quantile(n - 1) * deviation / math.sqrt(n)
    return Summary(mean, n, deviation, mean - half, mean + half)


def t_quantile(freedom: float) -> float:
    """How many standard errors a 95 % interval reaches to each side."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def few_seeds_tail(n: int) -> float:
    """Share of bootstrap draws to leave out at each end for ``n`` seeds, instead of 0.025.

    A bootstrap varies too little, by sqrt((n-1)/n), and its tails are the normal's, not t's: the
    percentiles are moved out to make up for both (Hesterberg, arXiv 1411.5279, section 5.3).
    """
    from scipy.special import ndtr

    return float(ndtr(-math.sqrt(n / (n - 1)) * t_quantile(n - 1)))


def iqm(scores: FloatArray) -> FloatArray:
    """Interquartile mean: the middle half of all ``scores`` [..., seeds, sets], per table.

    A quarter of them, rounded down, is cut off at each end (as ``scipy.stats.trim_mean``).
    """
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = int(0.25 * flat.shape[-1])
    middle: FloatArray = flat[..., cut : flat.shape[-1] - cut].mean(axis=-1)
    return middle


def stratified(scores: FloatArray, *, draws: int = DRAWS) -> tuple[float, float]:
    """95 % bootstrap interval of the IQM: seeds are drawn anew within each set [seeds, sets].

    Percentiles, as rliable has them (Agarwal et al. 2021, arXiv 2108.13264).
    """
    seeds, sets = scores.shape
    generator = stream(0, "stratified bootstrap", seeds, sets)
    picked = generator.integers(0, seeds, size=(draws, seeds, sets))
    drawn = np.take_along_axis(scores[None], picked, axis=1)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(iqm(drawn), [tail, 100 - tail])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction (1979) of a family of p-values, in their order."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = highest
    return corrected
