"""A projection that computes wrongly never gets to work."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from projector_cases import CPU

from cropi.projectors.kronecker import Kronecker
from cropi.projectors.projection import ParameterShape
from cropi.projectors.restrictions import Everything
from cropi.projectors.self_test import checked
from cropi.projectors.sketched import Sketched
from cropi.projectors.sketches import Fold, Kept
from cropi.runtime.errors import CropiError


def test_a_broken_kernel_is_refused() -> None:
    """Influence trap 1 (trak#24): zeros, or another length."""

    class Zeros(Fold):
        def add(self, rows: torch.Tensor, name: str, values: torch.Tensor) -> None:
            return

    class Doubled(Fold):
        def add(self, rows: torch.Tensor, name: str, values: torch.Tensor) -> None:
            super().add(rows, name, 2 * values)

    class Garbage(Fold):
        def add(self, rows: torch.Tensor, name: str, values: torch.Tensor) -> None:
            rows[0, 7] = torch.nan

    shapes = [ParameterShape("w", (100, 100))]
    restrictions, kept = {"w": Everything(shapes[0])}, Kept({"w": 10_000}, {"w": 1.0})
    for k in (64, 4096):
        good = Sketched(shapes, restrictions, kept, Fold(kept, k, 0, CPU), {})
        assert checked(good, shapes, CPU) is good
        for kind in (Zeros, Doubled, Garbage):
            bad = Sketched(shapes, restrictions, kept, kind(kept, k, 0, CPU), {})
            with pytest.raises(CropiError, match="trial failed"):
                checked(bad, shapes, CPU)


def test_a_broken_thin_matrix_is_refused() -> None:
    shapes = [ParameterShape("w", (300, 200)), ParameterShape("v", (90,))]
    projection = Kronecker().bind(shapes, CPU)
    assert isinstance(projection, Sketched)
    restriction: Any = projection.restriction("w")
    restriction.left *= 0.0
    with pytest.raises(CropiError, match="trial failed"):
        checked(projection, shapes, CPU)
