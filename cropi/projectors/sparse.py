"""The paper's sparse projection: random coordinates, then a sketch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

import torch
from pydantic import Field

from cropi.contracts import PositiveInt, Projector, Share
from cropi.projectors.hashing import chosen, key_of
from cropi.projectors.projection import ParameterShape, Projection, Restriction
from cropi.projectors.restrictions import Coordinates, Everything, First
from cropi.projectors.self_test import checked
from cropi.projectors.sketched import Precision, Sketched
from cropi.projectors.sketches import Count, Fold, Kept, sketch_of
from cropi.runtime.parts import part


@part
class Sparse(Projector):
    """Every coordinate is kept with probability ``keep``, by a hash of its place; k buckets.

    ``first_coordinates`` keeps that many from the start of the model instead, as the published
    release does by mistake, and ``precision: float16`` rounds as it does.
    """

    keep: Share = 0.1
    k: PositiveInt = 32768
    sketch: Literal["fold", "count"] = "fold"
    first_coordinates: PositiveInt | None = None
    precision: Precision = "float32"
    seed: Annotated[int, Field(ge=0)] = 0

    def bind(self, parameters: Sequence[ParameterShape], device: torch.device) -> Projection:
        restrictions = self.restrictions(parameters, device)
        scale = 1.0 / math.sqrt(self.keep) if self.first_coordinates is None else 1.0
        kept = Kept(
            {name: r.size for name, r in restrictions.items()},
            dict.fromkeys(restrictions, scale),
        )
        kind = {"fold": Fold, "count": Count}[self.sketch]
        sketch = sketch_of(kept, self.k, lambda: kind(kept, self.k, self.seed, device))
        projection = Sketched(
            parameters, restrictions, kept, sketch, {"kind": "sparse", **asdict(self)},
            precision=self.precision, in_order=self.first_coordinates is not None,
        )  # fmt: skip
        return checked(projection, parameters, device)

    def restrictions(
        self, parameters: Sequence[ParameterShape], device: torch.device
    ) -> dict[str, Restriction]:
        """By parameter name; ``first_coordinates`` counts in the model's order."""
        if self.first_coordinates is not None:
            left, first = self.first_coordinates, {}
            for parameter in parameters:
                first[parameter.name] = First(parameter, min(left, parameter.numel))
                left -= first[parameter.name].size
            return dict(first)
        return {p.name: uniform(p, self.keep, self.seed, device) for p in parameters}


def uniform(parameter: ParameterShape, keep: float, seed: int, device: torch.device) -> Restriction:
    """Each coordinate with probability ``keep``, by a hash of (seed, name, flat index)."""
    if keep == 1.0:
        return Everything(parameter)
    key = key_of(seed, "mask", parameter.name)
    return Coordinates(parameter, chosen(key, parameter.numel, keep, device))
