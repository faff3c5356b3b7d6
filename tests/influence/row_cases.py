"""Rows in memory, and rows as gradients are: a few strong directions shared by all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cropi.runtime.seeds import stream


@dataclass
class ArrayRows:
    """An array as a row source; ``passes`` counts how often it was read."""

    array: np.ndarray
    passes: int = 0

    @property
    def count(self) -> int:
        return self.array.shape[0]

    @property
    def dimension(self) -> int:
        return self.array.shape[1]

    def blocks(self, max_bytes: int) -> Iterator[tuple[int, int, np.ndarray]]:
        self.passes += 1
        step = max(1, max_bytes // (4 * self.dimension))
        for start in range(0, self.count, step):
            block = self.array[start : start + step]
            yield start, start + len(block), block


def planted(count: int, dimension: int, *, shared: int, share: float, seed: int = 0) -> np.ndarray:
    """float32 rows of unequal lengths; ``share`` of their energy lies in ``shared`` directions,
    the first of which all rows lean to."""
    random = stream(seed, "planted")
    axes = np.linalg.qr(random.standard_normal((dimension, shared)))[0].T
    energy = 1.0 / np.arange(1, shared + 1)
    mixes = (random.standard_normal((count, shared)) + 0.5) * np.sqrt(energy / energy.sum())
    noise = random.standard_normal((count, dimension)) / np.sqrt(dimension)
    rows = np.sqrt(share) * mixes @ axes + np.sqrt(1.0 - share) * noise
    return (rows * np.exp(random.standard_normal((count, 1)))).astype(np.float32)


def unit(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)
