"""No projection at all: inner products with resident validation gradients, and the norm.

The mean over a validation set of inner products is the inner product with the mean gradient, so M
sets need M resident vectors and one dot product each. As a projection its rows are M + 1 numbers:
⟨g, v_1⟩ … ⟨g, v_M⟩ and ‖g‖².
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from cropi.projectors.projection import ParameterShape, Projection, Restriction
from cropi.projectors.restrictions import Everything


class Alignments(Projection):
    """``directions`` [M, P]: full gradients, parameters one after the other as in ``parameters``.

    Memory: M · P numbers in the directions' type, which is that of the products.
    """

    def __init__(self, parameters: Sequence[ParameterShape], directions: Tensor) -> None:
        sizes = [parameter.numel for parameter in parameters]
        if directions.shape[1] != sum(sizes):
            raise ValueError(f"directions have {directions.shape[1]} numbers, not {sum(sizes)}")
        parts = directions.split(sizes, dim=1)
        self.sets = directions.shape[0]
        self.dimension = self.sets + 1
        self.directions = {p.name: v for p, v in zip(parameters, parts, strict=True)}
        self.restrictions = {p.name: Everything(p) for p in parameters}
        self.fingerprint = {"kind": "none", "directions": _digest(directions)}

    def restriction(self, name: str) -> Restriction:
        return self.restrictions[name]

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        wide = values.to(rows.dtype)
        rows[:, : self.sets] += torch.matmul(wide, self.directions[name].to(rows.dtype).T)
        rows[:, self.sets] += torch.linalg.vecdot(wide, wide)


def _digest(tensor: Tensor) -> str:
    """sha256 over the numbers (16 hexadecimal digits)."""
    raw = tensor.detach().cpu().contiguous().view(torch.uint8).numpy()
    return hashlib.sha256(raw.tobytes()).hexdigest()[:16]
