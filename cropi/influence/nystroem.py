"""A preconditioner from a random sketch: the few directions that rule a matrix, found in one go.

Frangella, Tropp and Udell, "Randomized Nyström preconditioning" (arXiv 2110.02820).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cropi.influence.rulers import combined, products
from cropi.runtime.seeds import stream
from cropi.types import FloatArray

Map = Callable[[FloatArray], FloatArray]  # of vectors, the rows of [m, d]


def preconditioner(multiply: Map, dimension: int, rank: int, mu: float) -> Map:
    """An approximate inverse of C + μI up to a factor, for a symmetric C ⪰ 0 of that dimension.

    ``multiply`` applies C and is called once, with ``rank`` orthonormal vectors. With the sketch's
    eigenpairs (λ, q) the result is I + Σ ((λ_min + μ) / (λ + μ) − 1) q qᵀ, always positive
    definite.
    """
    if rank == 0:
        return lambda vectors: vectors
    random = stream(0, "nystroem").standard_normal((dimension, rank))
    tests = np.ascontiguousarray(np.linalg.qr(random)[0].T)
    images = multiply(tests)
    _, roots = _turned(tests @ images.T, images)  # rootsᵀ roots ≈ C
    values, axes = _turned(roots @ roots.T, roots)
    if len(values) == 0:
        return lambda vectors: vectors
    factors = (values[0] + mu) / (values + mu) - 1.0
    return lambda vectors: vectors + combined(products(vectors, axes) * factors, axes)


def _turned(matrix: FloatArray, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues λ of a symmetric matrix ⪰ 0, ascending, and λ^(−1/2) · eigenvectorᵀ · rows.

    Without those that rounding may have made.
    """
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    floor = len(values) * np.finfo(np.float64).eps * max(float(values.max(initial=0.0)), 0.0)
    kept = values > floor
    return values[kept], (vectors[:, kept] / np.sqrt(values[kept])).T @ rows
