"""How far two rankings agree, and how sure that is: pure functions of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cropi.types import FloatArray

Measure = Callable[[FloatArray, FloatArray], float]


def average_ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means = last - (counts - 1) / 2.0
    return np.asarray(means[inverse], dtype=np.float64)


def spearman(ours: FloatArray, theirs: FloatArray) -> float:
    """Rank correlation; NaN when one of the two is constant."""
    a, b = average_ranks(ours), average_ranks(theirs)
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else float("nan")


def precision_at(share: float) -> Measure:
    """The measure: how much of the other's best ``share`` stands in our best ``share``.

    At least one prompt; ties fall to the earlier place. By chance it is ``share``.
    """

    def precision(ours: FloatArray, theirs: FloatArray) -> float:
        count = max(1, int(share * len(ours)))
        best = [set(np.argsort(-v, kind="stable")[:count].tolist()) for v in (ours, theirs)]
        return len(best[0] & best[1]) / count

    return precision


def interval(
    measure: Measure,
    ours: Sequence[FloatArray],
    theirs: Sequence[FloatArray],
    *,
    draws: int,
    random: np.random.Generator,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """(mean over the pairs, low, high): a percentile bootstrap over pairs and over prompts.

    ``ours[i]`` and ``theirs[i]`` score the same prompts; pairs differ by seed or validation set.
    Each draw takes pairs with replacement and, within all of them, the same prompts with
    replacement.
    """
    mean = float(np.mean([measure(a, b) for a, b in zip(ours, theirs, strict=True)]))
    found = np.empty(draws)
    for draw in range(draws):
        pairs = random.integers(len(ours), size=len(ours))
        prompts = random.integers(len(ours[0]), size=len(ours[0]))
        found[draw] = np.mean([measure(ours[i][prompts], theirs[i][prompts]) for i in pairs])
    tail = (1.0 - confidence) / 2.0
    low, high = np.nanquantile(found, [tail, 1.0 - tail])
    return mean, float(low), float(high)
