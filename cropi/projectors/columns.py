"""Whole input columns: a tenth of the columns is a tenth of the weight-gradient work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from cropi.contracts import PositiveInt, Projector, Share
from cropi.projectors import restrictions as kinds
from cropi.projectors.hashing import key_of, sample
from cropi.projectors.projection import ParameterShape, Projection, Restriction
from cropi.projectors.self_test import checked
from cropi.projectors.sketched import Sketched
from cropi.projectors.sketches import Fold, Kept, sketch_of
from cropi.runtime.parts import part


@part
class Columns(Projector):
    """One random set of ceil(keep · inputs) columns a matrix (a vector is one row), folded to k."""

    kind: ClassVar[str] = "columns"

    keep: Share = 0.1
    k: PositiveInt = 32768
    seed: Annotated[int, Field(ge=0)] = 0

    def bind(self, parameters: Sequence[ParameterShape], device: torch.device) -> Projection:
        restrictions: dict[str, Restriction] = {}
        scales = {}
        for parameter in parameters:
            inputs = parameter.matrix[1]
            count = columns_kept(self.keep, inputs)
            restrictions[parameter.name] = (
                self.some(parameter, count, device) if count < inputs
                else kinds.Everything(parameter)
            )  # fmt: skip
            scales[parameter.name] = math.sqrt(inputs / count)
        kept = Kept({name: r.size for name, r in restrictions.items()}, scales)
        sketch = sketch_of(kept, self.k, lambda: Fold(kept, self.k, self.seed, device))
        options = {"kind": self.kind, **asdict(self)}
        projection = Sketched(parameters, restrictions, kept, sketch, options)
        return checked(projection, parameters, device)

    def some(self, parameter: ParameterShape, count: int, device: torch.device) -> Restriction:
        """``count`` of the columns, fewer than there are."""
        key = key_of(self.seed, "columns", parameter.name)
        return kinds.Columns(parameter, sample(key, parameter.matrix[1], count, device))


def columns_kept(keep: float, inputs: int) -> int:
    """ceil(keep · inputs), not misled by 0.07 · 100 = 7.000000000000001."""
    return min(inputs, max(1, math.ceil(keep * inputs - 1e-9)))
