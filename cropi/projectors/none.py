"""No projection: the whole gradient, parameters one after the other in the model's order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cropi.contracts import Projector
from cropi.projectors.fingerprint import fingerprint
from cropi.projectors.projection import ParameterShape, Projection, Restriction
from cropi.projectors.restrictions import Everything
from cropi.runtime.parts import part


@part
class NoProjection(Projector):
    """Exact scores. Plain ones hold the validation means only; others store whole gradients."""

    def bind(self, parameters: Sequence[ParameterShape], device: torch.device) -> Projection:
        return Whole(parameters)


class Whole(Projection):
    """Rows as long as the model."""

    def __init__(self, parameters: Sequence[ParameterShape]) -> None:
        self.restrictions = {p.name: Everything(p) for p in parameters}
        self.starts: dict[str, int] = {}
        self.dimension = 0
        for parameter in parameters:
            self.starts[parameter.name] = self.dimension
            self.dimension += parameter.numel
        self.fingerprint = fingerprint({"kind": "none"}, self.dimension, parameters, in_order=True)

    def restriction(self, name: str) -> Restriction:
        return self.restrictions[name]

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        start = self.starts[name]
        rows[:, start : start + values.shape[1]] += values
