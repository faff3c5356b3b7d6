"""Dense random projections of random coordinates: every kept number reaches every bucket."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

import torch
from pydantic import Field

from cropi.contracts import PositiveInt, Projector, Share
from cropi.projectors.dense_sketch import DenseSketch
from cropi.projectors.projection import ParameterShape, Projection
from cropi.projectors.self_test import checked
from cropi.projectors.sketched import Precision, Sketched
from cropi.projectors.sketches import Kept, sketch_of
from cropi.projectors.sparse import uniform
from cropi.runtime.parts import part


@part
class Dense(Projector, ABC):
    """The textbook Johnson-Lindenstrauss map. Costs kept · k hashed entries a batch of prompts."""

    keep: Share = 0.1
    k: PositiveInt = 32768
    precision: Precision = "float32"
    chunk_mb: PositiveInt = 32
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    @abstractmethod
    def kind(self) -> Literal["rademacher", "gaussian"]:
        """Which numbers the matrix is made of."""

    def bind(self, parameters: Sequence[ParameterShape], device: torch.device) -> Projection:
        restrictions = {p.name: uniform(p, self.keep, self.seed, device) for p in parameters}
        kept = Kept(
            {name: r.size for name, r in restrictions.items()},
            dict.fromkeys(restrictions, 1.0 / math.sqrt(self.keep)),
        )
        sketch = sketch_of(kept, self.k, lambda: DenseSketch(
            kept, self.k, self.seed, self.kind, self.chunk_mb, device
        ))  # fmt: skip
        options = {"kind": self.kind, **asdict(self)}
        del options["chunk_mb"]  # rows are the same to rounding
        projection = Sketched(parameters, restrictions, kept, sketch, options, self.precision)
        return checked(projection, parameters, device)


@part
class Rademacher(Dense):
    """Entries ±1/√k, as traker's and LESS's projections."""

    @property
    def kind(self) -> Literal["rademacher", "gaussian"]:
        return "rademacher"


@part
class Gaussian(Dense):
    """Entries N(0, 1/k), as the release's ``trak_norm``."""

    @property
    def kind(self) -> Literal["rademacher", "gaussian"]:
        return "gaussian"
