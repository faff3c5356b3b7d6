"""What is left of an alignment once the other prompts' shared directions are explained away.

S = (U Uᵀ + μ I)⁻¹ A, with U [n, d] the unit rows of the n scorable prompts and A [n, M] their
cosines with M directions: the influence function with the empirical Fisher of the candidates. A
small pool is solved as written. A large one goes through the d x d side,

    S = (A − U w) / μ,    (Uᵀ U + μ I) w = Uᵀ A,

by conjugate gradients that read the rows once an iteration and hold a few vectors of length d.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from cropi.influence.nystroem import preconditioner
from cropi.influence.rulers import Rows, combined, norms_of, products, reciprocal, wide_blocks
from cropi.types import BoolArray, FloatArray

MEGABYTE = 2**20
NUMBER = 8  # bytes of a float64
GRAM_BLOCK_BYTES = 64 * MEGABYTE  # fewer, larger blocks: each is read once for every other
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inverse:
    """values [N, M], 0 for rows left out; ``iterations`` is 0 when solved directly.

    ``residual`` is scaled so that it bounds the error, rounding apart: ‖s − s*‖ ≤ residual · ‖s‖
    for every column s and its exact s*.
    """

    values: FloatArray
    iterations: int
    residual: float


def inverse_scores(
    rows: Rows,
    valid: BoolArray,
    targets: FloatArray,
    *,
    mu: float = 1.0,
    memory_mb: int = 1024,
    tolerance: float = 1e-4,
    rank: int = 256,
    max_iterations: int = 200,
) -> Inverse:
    """S from rows, valid [N] and A = targets [N, M]; rows that are zero or not valid are no u.

    Solved directly where the N x N matrix and its factors fit ``memory_mb``. Otherwise ``rank`` is
    how many of the pool's strongest directions are found beforehand, in one pass: each would cost
    iterations of its own. Short of ``tolerance`` the scores so far are returned, with a warning.
    """
    scale = _scale(rows, valid)
    wanted = np.where(scale > 0.0, targets.T, 0.0)
    budget = memory_mb * MEGABYTE
    if 2 * rows.count**2 * NUMBER <= budget:
        return _direct(rows, scale, wanted, mu)
    rank = min(rank, rows.count, rows.dimension, budget // (4 * NUMBER * rows.dimension))
    solved = _iterated(rows, scale, wanted, mu, tolerance, rank, max_iterations)
    if solved.residual > tolerance:
        log.warning(
            "after %d iterations the inverse's scores are known to %.1g of their size, "
            "not to %.1g; a larger ridge (selector.inverse) needs fewer",
            solved.iterations, solved.residual, tolerance,
        )  # fmt: skip
    return solved


def _scale(rows: Rows, valid: BoolArray) -> FloatArray:
    """[N]: 1 / ‖row‖, 0 for rows left out."""
    norms = np.empty(rows.count)
    for place, block in wide_blocks(rows):
        norms[place] = norms_of(block)
    return np.where(valid, reciprocal(norms), 0.0)


def _direct(rows: Rows, scale: FloatArray, targets: FloatArray, mu: float) -> Inverse:
    """targets [M, N]."""
    matrix = np.empty((rows.count, rows.count))
    for place, block in wide_blocks(rows, GRAM_BLOCK_BYTES):
        for other, across in wide_blocks(rows, GRAM_BLOCK_BYTES):
            if other.start > place.start:
                break
            matrix[place, other] = block @ across.T * np.outer(scale[place], scale[other])
            matrix[other, place] = matrix[place, other].T
    matrix[np.diag_indices(rows.count)] += mu
    values = np.asarray(np.linalg.solve(matrix, targets.T).T, dtype=np.float64)
    left = targets - values @ matrix
    return Inverse(values.T, 0, _relative(left, values) / mu)


def _iterated(
    rows: Rows,
    scale: FloatArray,
    targets: FloatArray,
    mu: float,
    tolerance: float,
    rank: int,
    max_iterations: int,
) -> Inverse:
    """Preconditioned conjugate gradients for w, a column at a time, all columns in one pass."""

    def through(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
        """U v [m, N] and Uᵀ U v [m, d] of vectors [m, d]."""
        seen = np.empty((len(vectors), rows.count))
        back = np.zeros_like(vectors)
        for place, block in wide_blocks(rows):
            seen[:, place] = products(vectors, block) * scale[place]
            back += combined(seen[:, place] * scale[place], block)
        return seen, back

    residual = np.zeros((len(targets), rows.dimension))
    for place, block in wide_blocks(rows):
        residual += combined(targets[:, place] * scale[place], block)
    precondition = preconditioner(lambda v: through(v)[1], rows.dimension, rank, mu)
    values = targets / mu
    direction = descent = precondition(residual)
    slope = _dot(residual, descent)
    # ‖s − s*‖ = ‖U (UᵀU + μI)⁻¹ r‖ / μ, and σ / (σ² + μ) is at most 1 / (2√μ).
    bound = 2.0 * mu**1.5
    iterations = 0
    while (error := _relative(residual, values) / bound) > tolerance:
        if iterations == max_iterations:
            break
        seen, back = through(direction)
        back += mu * direction
        step = _ratio(slope, _dot(direction, back))
        values -= step * seen / mu
        residual -= step * back
        descent = precondition(residual)
        slope, before = _dot(residual, descent), slope
        direction = descent + _ratio(slope, before) * direction
        iterations += 1
    return Inverse(values.T, iterations, error)


def _dot(one: FloatArray, other: FloatArray) -> FloatArray:
    """[m, 1] of rows [m, d]."""
    return np.einsum("md,md->m", one, other)[:, np.newaxis]


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """0 where a column is solved exactly."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0.0)


def _relative(left: FloatArray, values: FloatArray) -> float:
    """The largest ‖left‖ / ‖values‖ of rows; 0 / 0 is 0."""
    lengths = norms_of(values)
    ratios = np.divide(norms_of(left), lengths, out=np.zeros_like(lengths), where=lengths > 0.0)
    return float(ratios.max(initial=0.0))
