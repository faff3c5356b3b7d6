"""Differences paired by seed and item: means, intervals, p-values. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cropi.reports.statistics import t_quantile
from cropi.types import FloatArray


@dataclass(frozen=True)
class Difference:
    """Ours minus theirs over the seeds and items that both have."""

    mean: float
    low: float | None
    high: float | None
    p: float | None  # two-sided; None where there is no variance to judge by
    seeds: int
    items: int  # of a seed


def difference(
    ours: Mapping[int, Mapping[str, float]], theirs: Mapping[int, Mapping[str, float]]
) -> Difference | None:
    """Paired by seed and item: seed -> ``set/item`` -> score. None when nothing is shared.

    The plain mean over sets of the mean over items, as accuracies are. Their difficulty and luck
    cancel where they are shared (Miller, arXiv 2411.00640). If the seeds have the same items (half
    of them or more, and then only those count), seeds and items are two crossed samples and the
    freedom of the error is Satterthwaite's. If each seed has its own, seeds are the sample.
    """
    pairs = {
        seed: {item: ours[seed][item] - theirs[seed][item] for item in sorted(both)}
        for seed in sorted(ours.keys() & theirs.keys())
        if (both := ours[seed].keys() & theirs[seed].keys())
    }
    if not pairs:
        return None
    fewest = min(map(len, pairs.values()))
    shared = sorted(set.intersection(*(set(items) for items in pairs.values())))
    if 2 * len(shared) >= fewest:
        names = np.array([item.rpartition("/")[0] for item in shared])
        table = np.array([[items[i] for i in shared] for items in pairs.values()])  # [S, N]
        tables = [table[:, names == name] for name in dict.fromkeys(names)]
        mean = float(np.mean([each.mean() for each in tables]))
        return _judged(mean, *_crossed_error(tables), len(pairs), len(shared))
    by_seed = [_over_sets(items) for items in pairs.values()]
    error = float(np.std(by_seed, ddof=1)) / math.sqrt(len(by_seed))
    return _judged(float(np.mean(by_seed)), error, len(by_seed) - 1, len(by_seed), fewest)


def _over_sets(items: Mapping[str, float]) -> float:
    sets: dict[str, list[float]] = {}
    for item, value in items.items():
        sets.setdefault(item.rpartition("/")[0], []).append(value)
    return float(np.mean([np.mean(values) for values in sets.values()]))


def _judged(
    mean: float, error: float | None, freedom: float, seeds: int, items: int
) -> Difference:
    if not error:
        return Difference(mean, None, None, None, seeds, items)
    from scipy.special import stdtr

    half = t_quantile(freedom) * error
    p = float(2 * stdtr(freedom, -abs(mean) / error))
    return Difference(mean, mean - half, mean + half, p, seeds, items)


def _crossed_error(tables: Sequence[FloatArray]) -> tuple[float | None, float]:
    """Standard error of the mean over sets of [S, N] with random rows and columns; its freedom.

    The spread of seeds' means and that of items' means each hold the interaction once, so it is
    taken off once. Two seeds say too little of their spread for Satterthwaite: the freedom is 1.
    """
    seeds, share = tables[0].shape[0], 1 / len(tables) ** 2
    items = [each.shape[1] for each in tables]
    by_seed = np.mean([each.mean(axis=1) for each in tables], axis=0)
    of_seeds = float(np.var(by_seed, ddof=1)) / seeds if seeds > 1 else 0.0
    if min(items) < 2:
        return (math.sqrt(of_seeds), seeds - 1) if seeds > 1 else (None, 0)
    of_items = [share * float(np.var(t.mean(axis=0), ddof=1)) / t.shape[1] for t in tables]
    parts = [(part, n - 1) for part, n in zip(of_items, items, strict=True)]
    twice = 0.0
    if seeds > 1:
        parts.append((of_seeds, seeds - 1))
        for each, n in zip(tables, items, strict=True):
            rest = each - each.mean(axis=0) - each.mean(axis=1)[:, None] + each.mean()
            freedom = (seeds - 1) * (n - 1)
            parts.append((share * float((rest**2).sum()) / freedom / (seeds * n), freedom))
            twice += parts[-1][0]
    variance = max(sum(of_items) + of_seeds - twice, sum(of_items), of_seeds)
    uncertain = sum(part**2 / freedom for part, freedom in parts)
    if seeds == 2 or uncertain == 0.0:
        return math.sqrt(variance), 1
    return math.sqrt(variance), max(variance**2 / uncertain, min(seeds, *items) - 1, 1)
