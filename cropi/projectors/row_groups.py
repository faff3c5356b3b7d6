"""Input columns of their own for each of a few blocks of rows: between columns and uniform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import torch
from pydantic import Field

from cropi.contracts import PositiveInt, Projector, Share
from cropi.projectors import restrictions as kinds
from cropi.projectors.columns import columns_kept
from cropi.projectors.hashing import key_of, sample
from cropi.projectors.projection import ParameterShape, Projection, Restriction
from cropi.projectors.self_test import checked
from cropi.projectors.sketched import Sketched
from cropi.projectors.sketches import Fold, Kept, sketch_of
from cropi.runtime.parts import part


@part
class RowGroups(Projector):
    """A matrix's rows in ``groups`` nearly equal blocks, ceil(keep · inputs) columns each."""

    keep: Share = 0.1
    k: PositiveInt = 32768
    groups: PositiveInt = 4
    seed: Annotated[int, Field(ge=0)] = 0

    def bind(self, parameters: Sequence[ParameterShape], device: torch.device) -> Projection:
        restrictions, scales = {}, {}
        for parameter in parameters:
            inputs = parameter.matrix[1]
            count = columns_kept(self.keep, inputs)
            restrictions[parameter.name] = self._restriction(parameter, count, device)
            scales[parameter.name] = math.sqrt(inputs / count)
        kept = Kept({name: r.size for name, r in restrictions.items()}, scales)
        sketch = sketch_of(kept, self.k, lambda: Fold(kept, self.k, self.seed, device))
        options = {"kind": "row_groups", **asdict(self)}
        projection = Sketched(parameters, restrictions, kept, sketch, options)
        return checked(projection, parameters, device)

    def _restriction(
        self, parameter: ParameterShape, count: int, device: torch.device
    ) -> Restriction:
        rows, inputs = parameter.matrix
        if count == inputs:
            return kinds.Everything(parameter)
        groups = min(self.groups, rows)
        keys = [key_of(self.seed, f"columns {g}", parameter.name) for g in range(groups)]
        return kinds.RowGroups(
            parameter,
            bounds=[rows * g // groups for g in range(groups + 1)],
            columns=[sample(key, inputs, count, device) for key in keys],
        )
