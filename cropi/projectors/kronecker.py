"""Both sides of every weight gradient made small (LoGra, arXiv 2405.13954)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from cropi.contracts import PositiveInt, Projector
from cropi.projectors.hashing import key_of, signs
from cropi.projectors.projection import ParameterShape, Projection
from cropi.projectors.self_test import checked
from cropi.projectors.sketched import Sketched
from cropi.projectors.sketches import Concatenate, Kept
from cropi.projectors.two_sided import TwoSided
from cropi.runtime.parts import part


@part
class Kronecker(Projector):
    """P_out G P_inᵀ with random signs: ``outputs`` × ``inputs`` numbers a matrix, side by side.

    A side that is no longer than asked stays as it is. The two thin matrices of a weight are
    stored, (out · outputs + in · inputs) numbers, and the embedding's among them is the largest.
    """

    outputs: PositiveInt = 16
    inputs: PositiveInt = 16
    seed: Annotated[int, Field(ge=0)] = 0

    def bind(self, parameters: Sequence[ParameterShape], device: torch.device) -> Projection:
        restrictions = {}
        for parameter in parameters:
            rows, columns = parameter.matrix
            left = self._side("outputs", parameter.name, self.outputs, rows, device)
            right = self._side("inputs", parameter.name, self.inputs, columns, device)
            restrictions[parameter.name] = TwoSided(parameter, left, right)
        kept = Kept(
            {name: r.size for name, r in restrictions.items()}, dict.fromkeys(restrictions, 1.0)
        )
        options = {"kind": "kronecker", **asdict(self)}
        projection = Sketched(parameters, restrictions, kept, Concatenate(kept), options)
        return checked(projection, parameters, device)

    def _side(
        self, purpose: str, name: str, small: int, large: int, device: torch.device
    ) -> Tensor | None:
        if large <= small:
            return None
        entries = signs(key_of(self.seed, purpose, name), small * large, device)
        return entries.view(small, large) / math.sqrt(small)
