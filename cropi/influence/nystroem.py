"""A preconditioner from a random sketch: the few directions that rule a matrix, found in one go.

Frangella, Tropp and Udell, "Randomized Nyström preconditioning" (arXiv 2110.02820).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
    core = tests @ images.T
    weights, mixes = np.linalg.eigh((core + core.T) / 2)
    kept = weights > len(weights) * np.finfo(np.float64).eps * max(float(weights[-1]), 0.0)
    if not kept.any():
        return lambda vectors: vectors
    roots = (mixes[:, kept] / np.sqrt(weights[kept])).T @ images  # rootsᵀ roots ≈ C
    _, singular, axes = np.linalg.svd(roots, full_matrices=False)
    values = singular**2
    factors = (values[-1] + mu) / (values + mu) - 1.0
    return lambda vectors: vectors + (vectors @ axes.T * factors) @ axes
