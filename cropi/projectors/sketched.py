"""A projection made of restrictions and a sketch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from cropi.projectors.fingerprint import fingerprint
from cropi.projectors.projection import ParameterShape, Projection, Restriction
from cropi.projectors.sketches import Kept, Sketch

Precision = Literal["float32", "bfloat16", "float16"]


class Sketched(Projection):
    """``precision`` is what values are rounded to first; sums are in the rows' type.

    ``in_order``: the restrictions depend on the order of the parameters.
    """

    def __init__(
        self,
        parameters: Sequence[ParameterShape],
        restrictions: Mapping[str, Restriction],
        kept: Kept,
        sketch: Sketch,
        options: Mapping[str, Any],
        precision: Precision = "float32",
        in_order: bool = False,
    ) -> None:
        self.restrictions = restrictions
        self.kept = kept
        self.sketch = sketch
        self.dimension = sketch.dimension
        self.rounded = None if precision == "float32" else getattr(torch, precision)
        self.fingerprint = fingerprint(options, self.dimension, parameters, in_order)

    def restriction(self, name: str) -> Restriction:
        return self.restrictions[name]

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        if values.shape[1]:
            if self.rounded is not None:
                values = values.to(self.rounded)
            self.sketch.add(rows, name, values.to(rows.dtype))
