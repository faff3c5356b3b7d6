"""The second half of a projection: kept coordinates into k numbers, without a stored matrix."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cropi.projectors.hashing import buckets, hashed, key_of, signs

Kind = Literal["fold", "count", "rademacher", "gaussian"]


@dataclass(frozen=True)
class Kept:
    """What a sketch is made for: numbers kept and their scale, by parameter name."""

    sizes: Mapping[str, int]
    scales: Mapping[str, float]

    @property
    def total(self) -> int:
        return sum(self.sizes.values())


class Sketch(ABC):
    """Linear; ``values`` [B, size] come in the rows' type."""

    dimension: int

    @abstractmethod
    def add(self, rows: Tensor, name: str, values: Tensor) -> None: ...


class Concatenate(Sketch):
    """Every kept number in a place of its own, parameters in the order of their names."""

    def __init__(self, kept: Kept) -> None:
        self.scales = kept.scales
        self.starts: dict[str, int] = {}
        self.dimension = 0
        for name in sorted(kept.sizes):
            self.starts[name] = self.dimension
            self.dimension += kept.sizes[name]

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        start = self.starts[name]
        rows[:, start : start + values.shape[1]].add_(values, alpha=self.scales[name])


class Fold(Sketch):
    """A balanced count sketch: kept number j goes to bucket (j + shift) mod k with a random sign.

    Every parameter has a shift of its own. No bucket gets more than its share, nothing is
    scattered, and the sums run in one order.
    """

    def __init__(self, kept: Kept, k: int, seed: int, device: torch.device) -> None:
        self.dimension = k
        self.weights = {
            name: signs(key_of(seed, "sign", name), size, device).mul_(kept.scales[name])
            for name, size in kept.sizes.items()
        }
        self.shifts = {name: key_of(seed, "shift", name) % k for name in kept.sizes}

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        signed = values * self.weights[name].to(values.dtype)
        k, size, shift = self.dimension, signed.shape[1], self.shifts[name]
        head = min(size, k - shift)
        rows[:, shift : shift + head] += signed[:, :head]
        turns = (size - head) // k
        if turns:
            body = signed[:, head : head + turns * k]
            rows += body.reshape(body.shape[0], turns, k).sum(dim=1)
        tail = size - head - turns * k
        rows[:, :tail] += signed[:, size - tail :]


class Count(Sketch):
    """A count sketch: every kept number goes to a random bucket with a random sign."""

    def __init__(self, kept: Kept, k: int, seed: int, device: torch.device) -> None:
        self.dimension = k
        self.weights, self.buckets = {}, {}
        self.orders: dict[str, tuple[Tensor, Tensor]] = {}
        for name, size in kept.sizes.items():
            weights = signs(key_of(seed, "sign", name), size, device)
            self.weights[name] = weights.mul_(kept.scales[name])
            self.buckets[name] = buckets(key_of(seed, "bucket", name), size, k, device)

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        signed = values * self.weights[name].to(values.dtype)
        if not signed.is_cuda:
            rows.index_add_(1, self.buckets[name], signed)
            return
        # index_add_ on CUDA adds in any order (pytorch#56521): sort once, then sum segments.
        if name not in self.orders:
            order = torch.argsort(self.buckets[name], stable=True)
            counts = torch.bincount(self.buckets[name], minlength=self.dimension)
            self.orders[name] = (order, counts)
        order, counts = self.orders[name]
        sums = torch.segment_reduce(signed.T[order].contiguous(), "sum", lengths=counts, axis=0)
        rows += sums.T


class Dense(Sketch):
    """Every kept number to every bucket, with a hashed sign or normal number; made as needed.

    ``chunk_mb`` bounds the part of the matrix that exists at a time.
    """

    def __init__(self, kept: Kept, k: int, seed: int, kind: str, chunk_mb: int) -> None:
        self.dimension = k
        self.keys = {name: key_of(seed, kind, name) for name in kept.sizes}
        self.scales = {name: scale / math.sqrt(k) for name, scale in kept.scales.items()}
        self.entries = _signs_of if kind == "rademacher" else _normals_of
        self.chunk = max(1, chunk_mb * 2**20 // (16 * k))

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        for start in range(0, values.shape[1], self.chunk):
            part = values[:, start : start + self.chunk] * self.scales[name]
            matrix = self.entries(self.keys[name], start, part.shape[1], self.dimension, part)
            rows += torch.matmul(part, matrix)


def _signs_of(key: int, start: int, count: int, k: int, like: Tensor) -> Tensor:
    """[count, k] of ±1, a bit each: number j's sign for bucket o is bit o mod 64 of a hash."""
    words = -(-k // 64)
    index = torch.arange(start * words, (start + count) * words, device=like.device)
    raw = hashed(key, index).view(torch.uint8).reshape(count, words * 8, 1)
    masks = torch.tensor([1 << b for b in range(8)], dtype=torch.uint8, device=like.device)
    bits = ((raw & masks) != 0).reshape(count, words * 64)[:, :k]
    return bits.to(like.dtype).mul_(2.0).sub_(1.0)


def _normals_of(key: int, start: int, count: int, k: int, like: Tensor) -> Tensor:
    """[count, k] of standard normals, two of a hash's 32-bit halves by Box and Muller's formula."""
    pairs = -(-k // 2)
    index = torch.arange(start * pairs, (start + count) * pairs, device=like.device)
    mixed = hashed(key, index)
    first = ((mixed & 0xFFFFFFFF).double() + 0.5) / 2.0**32
    second = (((mixed >> 32) & 0xFFFFFFFF).double() + 0.5) / 2.0**32
    radius, angle = torch.sqrt(-2.0 * torch.log(first)), 2.0 * math.pi * second
    both = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)
    return both.to(like.dtype).reshape(count, pairs * 2)[:, :k]
