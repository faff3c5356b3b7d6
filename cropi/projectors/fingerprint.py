"""What a stored row must say of the projection that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from cropi.projectors.projection import ParameterShape


def fingerprint(
    options: Mapping[str, Any],
    dimension: int,
    parameters: Sequence[ParameterShape],
    in_order: bool = False,
) -> dict[str, Any]:
    """JSON values: the options, the row's length, a digest of the parameters' names and shapes.

    Their order counts only where the projection depends on it.
    """
    lines = [f"{p.name} {p.shape} {p.inputs_first}" for p in parameters]
    digest = hashlib.sha256("\n".join(lines if in_order else sorted(lines)).encode())
    return {**options, "dimension": dimension, "parameters": digest.hexdigest()[:16]}
