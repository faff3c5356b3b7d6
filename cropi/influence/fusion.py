"""One score out of several validation sets': by rank, by value, or the best set's.

Values are [N, M], one column a set; ``valid`` [N] says which rows are defined. What is undefined
gets NaN and takes no part in ranks, means or deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cropi.influence.averaging import standardised
from cropi.types import BoolArray, FloatArray

Fusion = Literal["rrf", "mean", "max"]


def fuse(
    values: FloatArray,
    valid: BoolArray,
    ids: Sequence[str],
    fusion: Fusion,
    *,
    constant: float = 0.0,
    top: int | None = None,
) -> FloatArray:
    """[N]; higher is better. ``constant`` and ``top`` are those of ``reciprocal_ranks``.

    ``mean`` averages standardised values; ``max`` takes the best value (the release's ``inf``).
    """
    if fusion == "rrf":
        return reciprocal_ranks(ranks(values, valid, ids), constant, top)
    if fusion == "mean":
        return standardised(values, valid).mean(axis=1)
    return np.where(valid, values.max(axis=1), np.nan)


def ranks(values: FloatArray, valid: BoolArray, ids: Sequence[str]) -> FloatArray:
    """[N, M]: 1 for each set's highest value among the valid; ties stand in the order of ids.

    Raises ValueError when a valid value is not finite.
    """
    if not np.isfinite(values[valid]).all():
        raise ValueError("a valid value is not finite: mark its row as undefined instead")
    places = np.flatnonzero(valid)
    names = np.asarray(ids, dtype=np.str_)[places]
    found = np.full(values.shape, np.nan)
    for number in range(values.shape[1]):
        order = np.lexsort((names, -values[places, number]))
        found[places[order], number] = np.arange(1.0, len(places) + 1.0)
    return found


def reciprocal_ranks(places: FloatArray, constant: float, top: int | None) -> FloatArray:
    """[N]: Σ_v 1 / (constant + rank_v) of ranks [N, M] (reciprocal rank fusion).

    The usual constant is 60, the paper's release has 0 and counts only ranks up to the budget,
    ``top``; None counts all.
    """
    parts = 1.0 / (constant + places)
    if top is not None:
        parts = np.where(places > top, 0.0, parts)
    return np.asarray(parts.sum(axis=1))
