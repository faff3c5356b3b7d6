"""Whole input columns: a tenth of the columns is a tenth of the weight-gradient work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import torch
from pydantic import Field

from cropi.contracts import PositiveInt, Projector, Share
from cropi.projectors import restrictions as kinds
from cropi.projectors.hashing import key_of, sample
from cropi.projectors.projection import ParameterShape, Projection
from cropi.projectors.sketched import Sketched, checked, sketch_of
from cropi.projectors.sketches import Kept
from cropi.runtime.parts import part


@part
class Columns(Projector):
    """One random set of ceil(keep · inputs) columns a matrix (a vector is one row), folded to k."""

    keep: Share = 0.1
    k: PositiveInt = 32768
    seed: Annotated[int, Field(ge=0)] = 0

    def bind(self, parameters: Sequence[ParameterShape], device: torch.device) -> Projection:
        restrictions, scales = {}, {}
        for parameter in parameters:
            inputs = parameter.matrix[1]
            count = columns_kept(self.keep, inputs)
            columns = sample(key_of(self.seed, "columns", parameter.name), inputs, count, device)
            restrictions[parameter.name] = kinds.Columns(parameter, columns)
            scales[parameter.name] = math.sqrt(inputs / count)
        kept = Kept({name: r.size for name, r in restrictions.items()}, scales)
        sketch = sketch_of("fold", kept, self.k, self.seed, device)
        options = {"kind": "columns", **asdict(self)}
        projection = Sketched(parameters, restrictions, sketch, options)
        return checked(projection, parameters, kept, device)


def columns_kept(keep: float, inputs: int) -> int:
    """ceil(keep · inputs), not misled by 0.1 · 30 = 3.0000000000000004."""
    return min(inputs, max(1, math.ceil(keep * inputs - 1e-9)))
