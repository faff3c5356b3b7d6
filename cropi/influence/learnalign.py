"""LearnAlign's score (arXiv 2506.11480): alignment with the pool, weighed by learnability."""

from __future__ import annotations

import numpy as np

from cropi.influence.rulers import (
    BLOCK_BYTES,
    Rows,
    combined,
    norms_of,
    products,
    reciprocal,
    wide_blocks,
)
from cropi.types import FloatArray


def learnalign_scores(
    rows: Rows, learnability: FloatArray, *, max_bytes: int = BLOCK_BYTES
) -> FloatArray:
    """[N]: s_i = V_i Σ_j V_j cos(g_i, g_j), j = i included, with V = p(1−p) [N].

    That is V_i ⟨u_i, Σ_j V_j u_j⟩ with unit rows u: two passes, no pool x pool matrix. A zero row
    gives and gets 0.
    """
    weights = np.empty((1, rows.count))
    shared = np.zeros((1, rows.dimension))
    for place, block in wide_blocks(rows, max_bytes):
        weights[:, place] = learnability[place] * reciprocal(norms_of(block))
        shared += combined(weights[:, place], block)
    scores = np.empty(rows.count)
    for place, block in wide_blocks(rows, max_bytes):
        scores[place] = weights[0, place] * products(shared, block)[0]
    return scores
