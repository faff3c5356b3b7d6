"""Input columns of their own for each of a few blocks of rows: between columns and uniform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field

from cropi.contracts import PositiveInt, Projector, Share
from cropi.projectors import restrictions as kinds
from cropi.projectors.columns import columns_kept
from cropi.projectors.hashing import key_of, sample
from cropi.projectors.projection import ParameterShape, Projection
from cropi.projectors.sketched import Sketched, checked, sketch_of
from cropi.projectors.sketches import Kept
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
            restrictions[parameter.name] = self._blocks(parameter, device)
            inputs = parameter.matrix[1]
            scales[parameter.name] = math.sqrt(inputs / columns_kept(self.keep, inputs))
        kept = Kept({name: r.size for name, r in restrictions.items()}, scales)
        sketch = sketch_of("fold", kept, self.k, self.seed, device)
        options = {"kind": "row_groups", **asdict(self)}
        projection = Sketched(parameters, restrictions, sketch, options)
        return checked(projection, parameters, kept, device)

    def _blocks(self, parameter: ParameterShape, device: torch.device) -> kinds.RowGroups:
        rows, inputs = parameter.matrix
        count, groups = columns_kept(self.keep, inputs), min(self.groups, rows)
        bounds = [rows * g // groups for g in range(groups + 1)]
        return kinds.RowGroups(parameter, [
            (start, stop,
             sample(key_of(self.seed, f"columns {g}", parameter.name), inputs, count, device))
            for g, (start, stop) in enumerate(pairwise(bounds))
        ])  # fmt: skip
