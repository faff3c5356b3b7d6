"""Which ruler to measure gradients with: the optimiser's second moment, or the validation sets'.

Every gradient g, of training and validation prompts alike, becomes g / √(v + damping · mean v), so
that inner products are gᵀ V⁻¹ g′: directions in which all gradients are large count for less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor

from cropi.influence.engine import Gradients, shapes_of
from cropi.policies.policy import Policy
from cropi.runtime.errors import CropiError

Precondition = Literal["none", "adam", "validation_diag"]


def scale_of(second_moment: Mapping[str, Tensor], damping: float) -> dict[str, Tensor]:
    """1 / √(v + damping · mean v) for every coordinate; the mean is over all of them.

    The damping keeps a coordinate that was hardly ever used (v near 0) from ruling the rest.
    Raises CropiError when v is 0 everywhere, or not finite.
    """
    total = sum(float(v.double().sum()) for v in second_moment.values())
    count = sum(v.numel() for v in second_moment.values())
    floor = damping * total / max(count, 1)
    if not 0.0 < floor < math.inf:
        raise CropiError(
            "no gradient to precondition by is finite and different from zero; "
            "set selector.precondition=none"
        )
    return {name: torch.rsqrt(v.float() + floor) for name, v in second_moment.items()}


def mean_square(gradients: Iterable[Gradients], policy: Policy) -> dict[str, Tensor]:
    """Mean squared gradient by parameter name, of full rows in the model's order; 0 without any.

    Rows that mean nothing (``finite`` 0) are zero and not counted.
    """
    shapes = shapes_of(policy)
    total = torch.zeros(sum(shape.numel for shape in shapes), device=policy.device)
    count = 0
    for part in gradients:
        total += part.rows.float().square().sum(dim=0)
        count += int(part.columns["finite"].sum())
    parts = (total / max(count, 1)).split([shape.numel for shape in shapes])
    return {s.name: v.view(s.shape) for s, v in zip(shapes, parts, strict=True)}
