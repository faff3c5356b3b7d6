"""A projection of gradients that are first multiplied, coordinate by coordinate, by a scale."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from cropi.projectors.projection import Projection, Restriction


class Scaled(Projection):
    """P (scale ∘ g): preconditioning happens before anything is projected.

    ``scale`` holds a tensor of each parameter's shape.
    """

    def __init__(self, projection: Projection, scale: Mapping[str, Tensor]) -> None:
        self.inner = projection
        self.dimension = projection.dimension
        self.scale = scale
        self.restrictions: dict[str, Restriction] = {}
        digest = hashlib.sha256()
        for name in sorted(scale):
            digest.update(name.encode())
            digest.update(scale[name].cpu().contiguous().view(torch.uint8).numpy().tobytes())
        self.fingerprint = {**projection.fingerprint, "scale": digest.hexdigest()[:16]}

    def restriction(self, name: str) -> Restriction:
        if name not in self.restrictions:
            inner = self.inner.restriction(name)
            self.restrictions[name] = (
                _ScaledChoice(inner, self.scale[name])
                if inner.elementwise
                else _ScaledMixture(inner, self.scale[name])
            )
        return self.restrictions[name]

    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        self.inner.add(rows, name, values)


class _ScaledChoice(Restriction):
    """Chosen coordinates are scaled after they are chosen, so the choice's short cuts stay."""

    elementwise = True

    def __init__(self, inner: Restriction, scale: Tensor) -> None:
        self.inner = inner
        self.parameter = inner.parameter
        self.size = inner.size
        self.scale = inner.from_gradient(scale.unsqueeze(0))

    def from_gradient(self, gradient: Tensor) -> Tensor:
        return self.inner.from_gradient(gradient) * self.scale

    def keep_inputs(self, inputs: Tensor) -> Tensor:
        return self.inner.keep_inputs(inputs)

    def from_factors(self, outputs: Tensor, kept: Tensor) -> Tensor:
        return self.inner.from_factors(outputs, kept) * self.scale

    def from_rows(self, ids: Tensor, values: Tensor) -> Tensor:
        return self.inner.from_rows(ids, values) * self.scale


class _ScaledMixture(Restriction):
    """A restriction that mixes coordinates needs the whole scaled gradient first."""

    elementwise = False

    def __init__(self, inner: Restriction, scale: Tensor) -> None:
        self.inner = inner
        self.parameter = inner.parameter
        self.size = inner.size
        self.scale = scale

    def from_gradient(self, gradient: Tensor) -> Tensor:
        return self.inner.from_gradient(gradient * self.scale)
