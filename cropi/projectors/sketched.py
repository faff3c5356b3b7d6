"""A projection made of restrictions and a sketch, checked when it is bound."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from cropi.projectors.hashing import key_of, signs
from cropi.projectors.projection import ParameterShape, Projection, Restriction
from cropi.projectors.sketches import Concatenate, Count, Dense, Fold, Kept, Kind, Sketch
from cropi.runtime.errors import CropiError

Precision = Literal["float32", "bfloat16", "float16"]
log = logging.getLogger(__name__)


class Sketched(Projection):
    """``precision`` is what values are rounded to first; sums are in the rows' type."""

    def __init__(
        self,
        parameters: Sequence[ParameterShape],
        restrictions: Mapping[str, Restriction],
        sketch: Sketch,
        options: Mapping[str, Any],
        precision: Precision = "float32",
    ) -> None:
        self.restrictions = restrictions
        self.sketch = sketch
        self.dimension = sketch.dimension
        self.rounded = None if precision == "float32" else getattr(torch, precision)
        names = sorted(f"{p.name} {p.shape} {p.inputs_first}" for p in parameters)
        self.fingerprint = {
            **options,
            "dimension": self.dimension,
            "parameters": hashlib.sha256("\n".join(names).encode()).hexdigest()[:16],
        }

    def restriction(self, name: str) -> Restriction:
        return self.restrictions[name]

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        if values.shape[1]:
            if self.rounded is not None:
                values = values.to(self.rounded)
            self.sketch.add(rows, name, values.to(rows.dtype))


def sketch_of(
    kind: Kind, kept: Kept, k: int, seed: int, device: torch.device, chunk_mb: int = 256
) -> Sketch:
    """The sketch, or none where k numbers are enough for what is kept.

    Then every kept number has a place of its own and the dimension is their count.
    """
    if kept.total == 0:
        raise CropiError("the projector keeps no coordinate at all; raise projector.keep")
    if kept.total <= k:
        log.info("projector: the %s numbers kept need no sketch of k=%s",
                 f"{kept.total:,}", f"{k:,}")  # fmt: skip
        return Concatenate(kept)
    if kind == "fold":
        return Fold(kept, k, seed, device)
    if kind == "count":
        return Count(kept, k, seed, device)
    return Dense(kept, k, seed, kind, chunk_mb)


def checked(
    projection: Sketched, parameters: Sequence[ParameterShape], kept: Kept, device: torch.device
) -> Sketched:
    """The projection after a trial: a vector of ±1 must keep its length, as far as k allows.

    Kernels that return zeros or garbage are known (trak#24, #81), and silent. Raises CropiError.
    """
    rows = torch.zeros(1, projection.dimension, device=device)
    expected = 0.0
    for parameter in parameters:
        trial = signs(key_of(0, "trial", parameter.name), parameter.numel, device)
        restricted = projection.restriction(parameter.name).from_gradient(
            trial.view(1, *parameter.shape)
        )
        expected += float(restricted.double().square().sum()) * kept.scales[parameter.name] ** 2
        projection.add(rows, parameter.name, restricted)
    ratio = math.sqrt(float(rows.double().square().sum()) / expected) if expected else 1.0
    # The length's spread is 1/√(2k): 0.1 is nine of them at 4096, and a fifth will do for less.
    size = projection.dimension
    allowed = 0.1 if size >= 4096 else min(0.9, 6.4 / math.sqrt(size))
    if not abs(ratio - 1.0) <= allowed:
        raise CropiError(
            f"projector: its trial failed: a vector's length was multiplied by {ratio:.3g} "
            f"(1 ± {allowed:.2g} is right for {size:,} numbers) on {device}; "
            f"this torch build computes wrongly, or k is too small"
        )
    return projection
