"""Many projections of one gradient at once, so that a study pays for one backward pass a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cropi.projectors.projection import ParameterShape, Projection, Restriction
from cropi.projectors.restrictions import Everything


class Stack(Projection):
    """Rows of all ``projections``, one after the other; each may round the gradient first."""

    def __init__(
        self,
        parameters: Sequence[ParameterShape],
        projections: Sequence[tuple[Projection, torch.dtype]],
    ) -> None:
        self.shapes = {p.name: p.shape for p in parameters}
        self.restrictions = {p.name: Everything(p) for p in parameters}
        self.projections = list(projections)
        self.dimension = sum(p.dimension for p, _ in projections)
        self.fingerprint = {"kind": "stack", "parts": [dict(p.fingerprint) for p, _ in projections]}

    def restriction(self, name: str) -> Restriction:
        return self.restrictions[name]

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        gradient = values.reshape(values.shape[0], *self.shapes[name])
        rounded: dict[torch.dtype, Tensor] = {}
        start = 0
        for projection, dtype in self.projections:
            if dtype not in rounded:
                rounded[dtype] = gradient.to(dtype).to(gradient.dtype)
            restricted = projection.restriction(name).from_gradient(rounded[dtype])
            projection.add(rows[:, start : start + projection.dimension], name, restricted)
            start += projection.dimension

    def split(self, rows: Tensor) -> tuple[Tensor, ...]:
        """[N, dimension] as one [N, k] a projection."""
        return rows.split([p.dimension for p, _ in self.projections], dim=1)


@dataclass(frozen=True)
class Cell:
    """One point of the grid."""

    projector: str
    keep: float
    k: int
    precision: str
    seed: int

    @property
    def setting(self) -> tuple[str, float, int, str]:
        """What seeds are averaged over."""
        return self.projector, self.keep, self.k, self.precision


def cells(
    projectors: Sequence[str],
    keeps: Sequence[float],
    ks: Sequence[int],
    precisions: Sequence[str],
    seeds: int,
) -> Iterator[Cell]:
    """Every combination, in the order of the lists."""
    for projector in projectors:
        for keep in keeps:
            for k in ks:
                for precision in precisions:
                    for seed in range(seeds):
                        yield Cell(projector, keep, k, precision, seed)
