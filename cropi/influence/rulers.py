"""How gradients are compared, read in blocks: means, inner products, norms, cosines.

Rows are float32 on disk and every sum is float64, which is as fast as reading them and leaves the
inverse (``inverse``), whose scores are small differences of large numbers, its digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from cropi.runtime.errors import CropiError
from cropi.types import FloatArray

Metric = Literal["cosine", "dot", "dot_cosine"]
BLOCK_BYTES = 8 * 2**20  # of float32: twice that is still in a processor's cache
# Up to so many vectors a product is bound by memory. einsum does it in one thread, with the same
# bits everywhere; BLAS's threads spin, and processes that share cores then stand still together.
FEW = 16


class Rows(Protocol):
    """``count`` finite rows of ``dimension`` numbers that need not fit in memory."""

    @property
    def count(self) -> int: ...

    @property
    def dimension(self) -> int: ...

    def blocks(self, max_bytes: int) -> Iterator[tuple[int, int, npt.NDArray[np.float32]]]:
        """(start, stop, rows start … stop−1), in order, each of at most that size if it can."""


def wide_blocks(
    rows: Rows, max_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[slice, FloatArray]]:
    """Places and rows as float64; ``max_bytes`` counts them as float32."""
    for start, stop, block in rows.blocks(max_bytes):
        yield slice(start, stop), block.astype(np.float64)


def products(vectors: FloatArray, block: FloatArray) -> FloatArray:
    """⟨vector, row⟩ [m, b] of vectors [m, d] and rows [b, d]."""
    if len(vectors) > FEW:
        return vectors @ block.T
    return np.einsum("md,bd->mb", vectors, block)


def combined(weights: FloatArray, block: FloatArray) -> FloatArray:
    """Σ_b weights[m, b] · row b, [m, d]."""
    if len(weights) > FEW:
        return weights @ block
    return np.einsum("mb,bd->md", weights, block)


def norms_of(block: FloatArray) -> FloatArray:
    """[b] of rows [b, d]."""
    return np.sqrt(np.einsum("bd,bd->b", block, block))


def reciprocal(norms: FloatArray) -> FloatArray:
    """1 / norm, and 0 for 0: what makes a row's length 1, or leaves it out."""
    return np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0.0)


def mean_row(
    rows: Rows, *, normalised: bool = False, max_bytes: int = BLOCK_BYTES
) -> npt.NDArray[np.float32]:
    """[d]: the mean of the rows that are not zero, each made length 1 first if ``normalised``.

    A prompt without a gradient has no say, as in the paper's release. Raises CropiError when all
    rows are zero.
    """
    total = np.zeros(rows.dimension)
    kept = 0
    for _, block in wide_blocks(rows, max_bytes):
        norms = norms_of(block)
        weights = reciprocal(norms) if normalised else np.ones_like(norms)
        total += combined(weights[np.newaxis], block)[0]
        kept += int(np.count_nonzero(norms))
    if kept == 0:
        raise CropiError(f"all of {rows.count} gradients are zero: they have no mean direction")
    return (total / kept).astype(np.float32)


def dots_and_norms(
    rows: Rows, directions: npt.ArrayLike, *, max_bytes: int = BLOCK_BYTES
) -> tuple[FloatArray, FloatArray]:
    """⟨row, direction⟩ [N, M] with directions [M, d], and ‖row‖ [N], in one pass."""
    wide = np.asarray(directions, dtype=np.float64)
    dots, norms = np.empty((rows.count, len(wide))), np.empty(rows.count)
    for place, block in wide_blocks(rows, max_bytes):
        dots[place] = products(wide, block).T
        norms[place] = norms_of(block)
    return dots, norms


def compared(
    dots: FloatArray, norms: FloatArray, lengths: FloatArray, metric: Metric
) -> FloatArray:
    """[N, M] from dots [N, M], row norms [N] and direction norms [M].

    ``cosine`` is the paper's, ``dot`` the first-order influence itself, and ``dot_cosine`` the
    dot times |cosine|, which keeps the sign and lets a long row win only if it points there too. A
    row or direction of norm 0 gives 0, never NaN: mask such rows by their norm.
    """
    if metric == "dot":
        return dots.copy()
    cosines = dots * reciprocal(norms)[:, np.newaxis] * reciprocal(lengths)
    return cosines if metric == "cosine" else dots * np.abs(cosines)
