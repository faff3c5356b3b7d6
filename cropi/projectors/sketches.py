"""The second half of a projection: kept coordinates into k numbers, without a stored matrix."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from cropi.projectors.hashing import buckets, key_of, signs
from cropi.runtime.errors import CropiError

log = logging.getLogger(__name__)


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
    tried: int | None = None  # numbers of a parameter that a trial may go over; None: all

    @abstractmethod
    def add(self, rows: Tensor, name: str, values: Tensor) -> None: ...


def sketch_of(kept: Kept, k: int, made: Callable[[], Sketch]) -> Sketch:
    """The sketch, or none where k numbers are enough for what is kept.

    Then every kept number has a place of its own and the dimension is their count.
    """
    if kept.total == 0:
        raise CropiError("the projector keeps no coordinate at all; raise projector.keep")
    if kept.total <= k:
        _say(f"projector: the {kept.total:,} numbers kept need no sketch to k={k:,}")
        return Concatenate(kept)
    return made()


@cache
def _say(line: str) -> None:
    log.info(line)


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
    """A count sketch: every kept number goes to a random bucket with a random sign.

    The table holds 2 · bucket + (1 where the sign is minus). ``any_order``: additions may come in
    any order, as on CUDA (pytorch#56521), so they are additions of whole numbers, which give the
    same bits in every order: multiples of a unit as small as sums below 2^62 allow.
    """

    def __init__(
        self, kept: Kept, k: int, seed: int, device: torch.device, any_order: bool | None = None
    ) -> None:
        self.dimension = k
        self.scales = kept.scales
        self.any_order = device.type != "cpu" if any_order is None else any_order
        self.places = {
            name: buckets(key_of(seed, "bucket", name), size, 2 * k, device)
            for name, size in kept.sizes.items()
        }

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        scale, place = self.scales[name], self.places[name]
        signed = values * (place & 1).to(values.dtype).mul_(-2.0 * scale).add_(scale)
        bucket = place >> 1
        if self.any_order:
            largest = signed.abs().amax(dim=1, keepdim=True).double()
            unit = largest * (signed.shape[1] * 2.0**-62)
            whole = (signed / unit).to(torch.int64)
            sums = torch.zeros(rows.shape, dtype=torch.int64, device=rows.device)
            rows += (sums.index_add_(1, bucket, whole) * unit).to(rows.dtype)
        else:  # one prompt at a time: index_add_ along a matrix's rows is slow
            for row, own in zip(rows, signed, strict=True):
                row.index_add_(0, bucket, own)
