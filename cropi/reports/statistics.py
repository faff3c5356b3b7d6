"""How sure a comparison is: intervals for few seeds, paired differences, many at once.

Pure functions. hydra_ux.md, section 4, measured what each interval covers: with three to ten seeds
the t-interval keeps its promise and the percentile bootstrap does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    half = _t(n - 1) * deviation / math.sqrt(n)
    return Summary(mean, n, deviation, mean - half, mean + half)


def _t(freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + CONFIDENCE / 2, freedom))


def iqm(scores: FloatArray) -> float:
    """Interquartile mean of ``scores`` [seeds, sets]: the middle half of all of them."""
    from scipy.stats import trim_mean

    return float(trim_mean(scores.ravel(), 0.25))


def stratified(scores: FloatArray, *, draws: int = DRAWS) -> tuple[float, float]:
    """95 % bootstrap interval of the IQM: seeds are drawn anew within each set [seeds, sets]."""
    seeds, sets = scores.shape
    generator = stream(0, "stratified bootstrap", seeds, sets)
    picked = generator.integers(0, seeds, size=(draws, seeds, sets))
    values = [iqm(np.take_along_axis(scores, one, axis=0)) for one in picked]
    return _percentiles(values)


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """Ours minus theirs over the seeds and items that both have."""

    mean: float
    low: float | None
    high: float | None
    p: float | None  # two-sided; None where there is no variance to judge by
    seeds: int
    items: int


def difference(
    ours: Mapping[int, Mapping[str, float]], theirs: Mapping[int, Mapping[str, float]]
) -> Difference | None:
    """Paired by seed and item: seed -> item -> score. None when nothing is shared.

    Items and seeds both vary, so the error of the mean is that of two crossed samples; the
    t-distribution has the freedom of the smaller one. Their difficulty and luck cancel where they
    are shared (Miller, arXiv 2411.00640).
    """
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return None
    items = sorted(set.intersection(*(ours[s].keys() & theirs[s].keys() for s in seeds)))
    if not items:
        return None
    table = np.array([[ours[s][i] - theirs[s][i] for i in items] for s in seeds])  # [S, N]
    mean = float(table.mean())
    error, freedom = _crossed_error(table)
    if error is None or error == 0.0:
        return Difference(mean, None, None, None, len(seeds), len(items))
    from scipy.stats import t

    half = _t(freedom) * error
    p = float(2 * t.sf(abs(mean) / error, freedom))
    return Difference(mean, mean - half, mean + half, p, len(seeds), len(items))


def _crossed_error(table: FloatArray) -> tuple[float | None, float]:
    """Standard error of the mean of [S, N] with random rows and columns, and its freedom."""
    seeds, items = table.shape
    by_item, by_seed = table.mean(axis=0), table.mean(axis=1)
    if items < 2:
        return None, 0
    of_items = float(np.var(by_item, ddof=1)) / items
    if seeds < 2:
        return math.sqrt(of_items), items - 1
    of_seeds = float(np.var(by_seed, ddof=1)) / seeds
    rest = table - by_item[None] - by_seed[:, None] + table.mean()
    counted_twice = float((rest**2).sum()) / ((seeds - 1) * (items - 1)) / (seeds * items)
    variance = max(of_items + of_seeds - counted_twice, of_items, of_seeds)
    return math.sqrt(variance), min(seeds, items) - 1


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction (1979) of a family of p-values, in their order."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = highest
    return corrected
