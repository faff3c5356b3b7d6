"""Dense random projections of random coordinates: every kept number reaches every bucket."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from cropi.contracts import PositiveInt, Projector, Share
from cropi.projectors.projection import ParameterShape, Projection
from cropi.projectors.sketched import Precision, Sketched, checked, sketch_of
from cropi.projectors.sketches import Kept
from cropi.projectors.sparse import uniform
from cropi.runtime.parts import part


@part
class Dense(Projector):
    """The textbook Johnson-Lindenstrauss map. Costs kept · k hashed entries a batch of prompts."""

    kind: ClassVar[Literal["rademacher", "gaussian"]]

    keep: Share = 0.1
    k: PositiveInt = 32768
    precision: Precision = "float32"
    chunk_mb: PositiveInt = 256
    seed: Annotated[int, Field(ge=0)] = 0

    def bind(self, parameters: Sequence[ParameterShape], device: torch.device) -> Projection:
        restrictions = {p.name: uniform(p, self.keep, self.seed, device) for p in parameters}
        kept = Kept(
            {name: r.size for name, r in restrictions.items()},
            dict.fromkeys(restrictions, 1.0 / math.sqrt(self.keep)),
        )
        sketch = sketch_of(self.kind, kept, self.k, self.seed, device, self.chunk_mb)
        options = {"kind": self.kind, **asdict(self)}
        del options["chunk_mb"]  # rows are the same to rounding
        projection = Sketched(parameters, restrictions, sketch, options, self.precision)
        return checked(projection, parameters, kept, device)


@part
class Rademacher(Dense):
    """Entries ±1/√k, as traker's and LESS's projections."""

    kind: ClassVar[Literal["rademacher", "gaussian"]] = "rademacher"


@part
class Gaussian(Dense):
    """Entries N(0, 1/k), as the release's ``trak_norm``."""

    kind: ClassVar[Literal["rademacher", "gaussian"]] = "gaussian"
