"""Estimates of accuracy and of how sure they are: pure functions of rewards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from cropi.types import FloatArray


def item_means(rewards: FloatArray) -> FloatArray:
    """Mean reward of each item, float64 [N], over the scorable samples of ``rewards`` [N, K].

    A sample that cannot be scored is NaN; an item with none that can is NaN.
    """
    counts = (~np.isnan(rewards)).sum(axis=1)
    sums = np.nansum(rewards, axis=1)
    return np.divide(sums, counts, out=np.full(len(rewards), np.nan), where=counts > 0)


def pass_at_k(samples: int, right: int, k: int) -> float | None:
    """Chance that one of ``k`` samples is right: 1 - C(n-c, k) / C(n, k), without bias.

    None when fewer than ``k`` samples were drawn (Chen et al. 2021, arXiv 2107.03374, eq. 1):
    the ratio would be 0/0 and the common shortcut claims 1.
    """
    if samples < k:
        return None
    return 1.0 - math.comb(samples - right, k) / math.comb(samples, k)


def standard_error(values: FloatArray | Sequence[float]) -> float | None:
    """Standard error of the mean of ``values`` [N], sample variance; None for fewer than two."""
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def wilson_interval(right: int, items: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a share of ``items`` yes-or-no outcomes (Wilson 1927).

    Unlike mean ± error it keeps its promise below a few hundred items and near 0 and 1.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = right / items
    middle = share + z * z / (2 * items)
    half = z * math.sqrt(share * (1 - share) / items + z * z / (4 * items * items))
    scale = 1 + z * z / items
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference over the items two evaluations share."""

    mean: float
    standard_error: float | None  # None for a single item
    items: int
    unmatched: int  # items that only one of the two has


def paired_difference(ours: Mapping[str, float], theirs: Mapping[str, float]) -> PairedDifference:
    """``ours - theirs`` by prompt id, its error from the differences (Miller, arXiv 2411.00640).

    The items' difficulty cancels, so the error is smaller than that of two separate means.
    Raises ValueError when no item is shared.
    """
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise ValueError("the two evaluations have no item in common")
    differences = np.array([ours[item] - theirs[item] for item in shared])
    return PairedDifference(
        mean=float(differences.mean()),
        standard_error=standard_error(differences),
        items=len(shared),
        unmatched=len(ours.keys() ^ theirs.keys()),
    )
