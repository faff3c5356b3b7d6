"""Dense random projections whose matrix is made anew whenever it is needed, piece by piece."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from cropi.projectors.hashing import hashed, key_of
from cropi.projectors.sketches import Kept, Sketch

PROMPTS = 8  # a matrix product's last bits may follow its size, so every product has this one


class DenseSketch(Sketch):
    """Every kept number to every bucket, times a hashed sign or normal number over √k.

    An entry is a few bits of the hash of (seed, name, place, bucket), looked up in a table: eight
    signs a byte, or one normal number in sixteen bits. ``chunk_mb`` bounds the part of the matrix
    that exists at a time.
    """

    def __init__(
        self,
        kept: Kept,
        k: int,
        seed: int,
        kind: Literal["rademacher", "gaussian"],
        chunk_mb: int,
        device: torch.device,
    ) -> None:
        self.dimension = k
        self.keys = {name: key_of(seed, kind, name) for name in kept.sizes}
        self.scales = {name: scale / math.sqrt(k) for name, scale in kept.scales.items()}
        self.table = (_signs() if kind == "rademacher" else _normals()).to(device)
        self.code = torch.int8 if kind == "rademacher" else torch.int16
        entries_a_word = 8 // self.code.itemsize * self.table[0].numel()
        self.words = -(-k // entries_a_word)
        self.chunk = max(1, chunk_mb * 2**20 // (16 * self.words * entries_a_word))
        self.tried = max(16, 2**25 // (k * len(kept.sizes)))

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        for start in range(0, values.shape[1], self.chunk):
            part = values[:, start : start + self.chunk] * self.scales[name]
            matrix = self.entries(self.keys[name], start, part.shape[1]).to(rows.dtype)
            for first in range(0, len(part), PROMPTS):
                some = part[first : first + PROMPTS]
                filled = torch.nn.functional.pad(some, (0, 0, 0, PROMPTS - len(some)))
                rows[first : first + PROMPTS] += torch.matmul(filled, matrix)[: len(some)]

    def entries(self, key: int, start: int, count: int) -> Tensor:
        """float32 [count, k]: the matrix's rows of kept numbers start, start + 1, …"""
        index = torch.arange(
            start * self.words, (start + count) * self.words, device=self.table.device
        )
        code = hashed(key, index).view(self.code).to(torch.int32).bitwise_and_(len(self.table) - 1)
        return self.table.index_select(0, code).view(count, -1)[:, : self.dimension]


def _signs() -> Tensor:
    """[256, 8]: the bits of a byte as ±1."""
    bits = torch.arange(256).unsqueeze(1) >> torch.arange(8) & 1
    return bits.to(torch.float32) * 2.0 - 1.0


def _normals() -> Tensor:
    """[65536]: that many equally likely normal numbers, of mean 0 and variance 1 exactly.

    The quantiles at (i + ½) / 65536, the farthest at 4.3: a table that every device shares, where
    logarithms and cosines would differ in their last bits.
    """
    places = (torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16
    quantiles = torch.special.ndtri(places)
    return (quantiles / quantiles.square().mean().sqrt()).to(torch.float32)
