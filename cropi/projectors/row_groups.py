"""Input columns of their own for each of a few blocks of rows: between columns and uniform."""

from __future__ import annotations

from typing import ClassVar

import torch

from cropi.contracts import PositiveInt
from cropi.projectors import restrictions as kinds
from cropi.projectors.columns import Columns
from cropi.projectors.hashing import key_of, sample
from cropi.projectors.projection import ParameterShape, Restriction
from cropi.runtime.parts import part


@part
class RowGroups(Columns):
    """A matrix's rows in ``groups`` nearly equal blocks, ceil(keep · inputs) columns each."""

    kind: ClassVar[str] = "row_groups"

    groups: PositiveInt = 4

    def some(self, parameter: ParameterShape, count: int, device: torch.device) -> Restriction:
        rows, inputs = parameter.matrix
        groups = min(self.groups, rows)
        keys = [key_of(self.seed, f"columns {g}", parameter.name) for g in range(groups)]
        return kinds.RowGroups(
            parameter,
            bounds=[rows * g // groups for g in range(groups + 1)],
            columns=[sample(key, inputs, count, device) for key in keys],
        )
