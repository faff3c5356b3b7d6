"""Second moments: what a gradient is divided by, when there is one, and when there is none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from influence_cases import autograd_gradient, group_of, policy_of, prepared, random_group

from cropi.contracts import Projector, SelectionContext
from cropi.influence.candidates import Candidates
from cropi.influence.directional import Directional
from cropi.influence.engine import Engine, shapes_of
from cropi.influence.estimator import Estimator
from cropi.influence.fast import Fast
from cropi.influence.measuring import Influences, Measuring
from cropi.influence.precondition import mean_square, scale_of
from cropi.influence.reference import Reference
from cropi.influence.scoring import Recipe
from cropi.policies.policy import Policy
from cropi.projectors.kronecker import Kronecker
from cropi.projectors.none import NoProjection
from cropi.projectors.sparse import Sparse
from cropi.runtime.errors import CropiError, DataError
from cropi.types import Group

POLICY = policy_of("llama")
POOL = [random_group(seed) for seed in range(4)]
SETS = {"A": [random_group(50), random_group(51)], "B": [random_group(60)]}
OVERFLOWS = group_of("overflows", [1, 2], [[3], [4]], [1.0, 0.0], [[-900.0], [-1.0]])


def test_the_scale_is_the_root_of_the_damped_moment() -> None:
    """By hand: the mean over both tensors is (1 + 9 + 0 + 2) / 4 = 3, damped by a third: + 1."""
    moments = {"a": torch.tensor([1.0, 9.0]), "b": torch.tensor([[0.0], [2.0]])}
    scale = scale_of(moments, 1 / 3)
    torch.testing.assert_close(scale["a"], torch.tensor([2.0, 10.0]).rsqrt())
    torch.testing.assert_close(scale["b"], torch.tensor([[1.0], [3.0]]).rsqrt())


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_moment_that_says_nothing_is_refused(value: float) -> None:
    with pytest.raises(CropiError, match="precondition=none"):
        scale_of({"a": torch.tensor([0.0, value])}, 0.1)


@pytest.mark.parametrize("engine", [Fast(), Reference()], ids=["fast", "reference"])
def test_the_mean_square_is_of_the_gradients_that_are_finite(engine: Engine) -> None:
    groups = prepared(POOL[0], OVERFLOWS, POOL[1])
    projection = NoProjection().bind(shapes_of(POLICY), POLICY.device)
    gradients = engine.gradients(POLICY, groups, projection, Estimator())
    found = mean_square(gradients, POLICY)
    expected = (
        autograd_gradient(POLICY, POOL[0]).square() + autograd_gradient(POLICY, POOL[1]).square()
    ) / 2
    for name, parameter in POLICY.trainable():
        assert found[name].shape == parameter.shape
    flat = torch.cat([found[shape.name].reshape(-1) for shape in shapes_of(POLICY)])
    torch.testing.assert_close(flat.double(), expected, rtol=1e-5, atol=1e-12)


def test_no_finite_gradient_is_a_mean_square_of_zero() -> None:
    projection = NoProjection().bind(shapes_of(POLICY), POLICY.device)
    gradients = Fast().gradients(POLICY, prepared(OVERFLOWS), projection, Estimator())
    assert not any(bool(v.any()) for v in mean_square(gradients, POLICY).values())


def measuring(
    folder: Path, projector: Projector, moments: Mapping[str, torch.Tensor] | None,
    engine: Engine | None = None, policy: Policy = POLICY,
) -> Measuring:  # fmt: skip
    context = SelectionContext(phase=0, seed=0, policy=policy, second_moment=lambda: moments)
    return Measuring(Recipe(engine or Fast(), projector, Estimator()), context, folder)


def preconditioned(
    with_: Measuring, kind: str, groups: Mapping[str, list[Group]] = SETS
) -> Influences:
    sets = with_.validation(groups)
    with_.precondition(kind, 0.01, sets)  # type: ignore[arg-type]
    by_id = {group.prompt_id: group for group in POOL}
    return with_.against(Candidates.of(list(by_id), by_id), sets)


def random_moments(seed: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {name: torch.rand_like(p).detach() for name, p in POLICY.trainable()}


def test_an_optimiser_that_saw_no_gradient_yet_counts_as_not_begun(tmp_path: Path) -> None:
    """Its first steps' groups may all have had equal rewards."""
    zero = {name: torch.zeros_like(p).detach() for name, p in POLICY.trainable()}
    found = [
        preconditioned(measuring(tmp_path / str(number), NoProjection(), moments), kind)
        for number, (moments, kind) in enumerate([
            (zero, "adam"), (None, "adam"), (random_moments(), "validation_diag"),
        ])
    ]  # fmt: skip
    np.testing.assert_array_equal(found[0].dots, found[1].dots)
    np.testing.assert_array_equal(found[0].dots, found[2].dots)
    plain = preconditioned(measuring(tmp_path / "plain", NoProjection(), zero), "none")
    assert not np.allclose(found[0].dots, plain.dots)


def test_nothing_to_precondition_by_is_said(tmp_path: Path) -> None:
    with pytest.raises(CropiError, match="precondition=none"):
        preconditioned(measuring(tmp_path, NoProjection(), None), "adam", {"A": [OVERFLOWS]})


def test_directions_that_are_preconditioned_need_a_backward_pass_and_get_one(
    tmp_path: Path,
) -> None:
    """The directional engine's own differences know no scale; it must not leave it out."""
    moments = random_moments()
    exact = preconditioned(measuring(tmp_path / "a", NoProjection(), moments), "adam")
    found = preconditioned(
        measuring(tmp_path / "b", NoProjection(), moments, Directional()), "adam"
    )
    np.testing.assert_allclose(found.dots, exact.dots, rtol=1e-5)


@pytest.mark.parametrize("projector", [Sparse(keep=0.5, k=64), Kronecker(outputs=2, inputs=3)])
def test_rows_under_another_moment_are_other_rows(tmp_path: Path, projector: Projector) -> None:
    preconditioned(measuring(tmp_path, projector, random_moments(1)), "adam")
    preconditioned(measuring(tmp_path, projector, random_moments(1)), "adam")
    with pytest.raises(DataError, match=r"identity\.projection\.scale was"):
        preconditioned(measuring(tmp_path, projector, random_moments(2)), "adam")
    with pytest.raises(DataError, match=r"projection\.scale was .*, is absent"):
        preconditioned(measuring(tmp_path, projector, random_moments(1)), "none")
