"""A projection is tried when it is bound, on the device and build it will run on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from cropi.projectors.hashing import key_of, signs
from cropi.projectors.projection import ParameterShape
from cropi.projectors.sketched import Sketched
from cropi.runtime.errors import CropiError


def checked(
    projection: Sketched, parameters: Sequence[ParameterShape], device: torch.device
) -> Sketched:
    """The projection, once a vector of hashed ±1 has kept its length: 0.9 to 1.1 times.

    Kernels that return zeros or garbage are known (trak#24, #81), and silent. Raises CropiError.
    One parameter exists at a time; of a dense sketch only a few of its numbers are tried.
    """
    rows = torch.zeros(1, projection.dimension, device=device)
    total, spread = 0.0, 0.0
    for parameter in parameters:
        restriction = projection.restriction(parameter.name)
        trial = signs(key_of(0, "trial", parameter.name), parameter.numel, device)
        values = restriction.from_gradient(trial.view(1, *parameter.shape))
        if restriction.elementwise:
            values = values[:, : projection.sketch.tried]
            length = values.shape[1] * projection.kept.scales[parameter.name] ** 2
        else:  # it makes small by itself, and its numbers go to places of their own
            length = float(parameter.numel)
            spread += length**2 / restriction.size
        total += length
        projection.add(rows, parameter.name, values)
    ratio = float(torch.linalg.vector_norm(rows, dtype=torch.float64)) / math.sqrt(total)
    # The squared length is a mean of this many nearly normal numbers' squares, so the length is
    # right to 1/√(2 · count): 0.1 is nine of these at 4096, and nine are allowed below.
    count = total**2 / spread if spread else float(projection.dimension)
    allowed = 0.1 if count >= 4096 else 6.4 / math.sqrt(count)
    if not (ratio > 0 and abs(ratio - 1.0) <= allowed):
        raise CropiError(
            f"projector: its trial failed: a vector's length was multiplied by {ratio:.3g} "
            f"(1 ± {allowed:.2g} is right for {projection.dimension:,} numbers) on {device}; "
            f"this torch build computes wrongly, or k is too small"
        )
    return projection
