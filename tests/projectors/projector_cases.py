"""Odd-shaped parameters, random gradients of them, and a projector as an explicit matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cropi.contracts import Projector
from cropi.projectors.columns import Columns
from cropi.projectors.dense import Gaussian, Rademacher
from cropi.projectors.kronecker import Kronecker
from cropi.projectors.none import NoProjection
from cropi.projectors.projection import ParameterShape, Projection
from cropi.projectors.row_groups import RowGroups
from cropi.projectors.sparse import Sparse

CPU = torch.device("cpu")
SHAPES = [
    ParameterShape("head.weight", (23, 12)),
    ParameterShape("conv.weight", (12, 20), inputs_first=True),  # GPT-2's Conv1D
    ParameterShape("norm.weight", (11,)),
    ParameterShape("experts", (3, 5, 7)),
    ParameterShape("bias", (1,)),
]
SMALL: dict[str, Projector] = {
    "sparse": Sparse(keep=0.5, k=64),
    "sparse_all": Sparse(keep=1.0, k=64),
    "count": Sparse(keep=0.5, k=64, sketch="count"),
    "first": Sparse(first_coordinates=300, k=64),
    "columns": Columns(keep=0.4, k=64),
    "row_groups": RowGroups(keep=0.4, k=64, groups=3),
    "narrow row_groups": RowGroups(keep=0.1, k=64, groups=3),
    "rademacher": Rademacher(keep=0.5, k=64),
    "gaussian": Gaussian(keep=0.5, k=64),
    "kronecker": Kronecker(outputs=4, inputs=3),
    "none": NoProjection(),
    "no sketch needed": Sparse(keep=0.5, k=10_000),
}


def gradients(
    prompts: int, seed: int = 0, shapes: Sequence[ParameterShape] = SHAPES, dtype: Any = None
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        s.name: torch.randn(prompts, *s.shape, generator=generator, dtype=dtype or torch.float64)
        for s in shapes
    }


def project(projection: Projection, named: dict[str, Tensor]) -> Tensor:
    """[B, k], by the reference way: whole gradients, one parameter after the other."""
    first = next(iter(named.values()))
    rows = projection.zeros(len(first), first)
    for name, gradient in named.items():
        projection.add(rows, name, projection.restriction(name).from_gradient(gradient))
    return rows


def flat(named: dict[str, Tensor]) -> Tensor:
    """[B, P]."""
    return torch.cat([gradient.reshape(len(gradient), -1) for gradient in named.values()], dim=1)


def matrix_of(projection: Projection, shapes: Sequence[ParameterShape] = SHAPES) -> Tensor:
    """[P, k] float64: the projection of every coordinate alone."""
    size = sum(s.numel for s in shapes)
    units = torch.eye(size, dtype=torch.float64)
    parts = units.split([s.numel for s in shapes], dim=1)
    return project(
        projection, {s.name: p.reshape(size, *s.shape) for s, p in zip(shapes, parts, strict=True)}
    )


def splitmix(key: int, index: int) -> int:
    """The definition of the hash in unbounded integers."""
    mask = 2**64 - 1
    z = (index * 0x9E3779B97F4A7C15 + key) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    z ^= z >> 31
    return z - 2**64 if z >= 2**63 else z
