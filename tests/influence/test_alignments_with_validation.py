"""From stored groups to alignments, preconditioned or not, against dense sums of autograd rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from influence_cases import EOS, autograd_gradient, group_of, policy_of, random_group

from cropi.contracts import Projector, SelectionContext
from cropi.influence.candidates import Candidates
from cropi.influence.engine import Engine, shapes_of
from cropi.influence.estimator import Estimator
from cropi.influence.fast import Fast
from cropi.influence.measuring import Influences, Measuring
from cropi.influence.reference import Reference
from cropi.influence.scoring import Recipe
from cropi.policies.policy import Policy
from cropi.projectors.columns import Columns
from cropi.projectors.kronecker import Kronecker
from cropi.projectors.none import NoProjection
from cropi.projectors.sparse import Sparse
from cropi.runtime.errors import CropiError
from cropi.types import Cost, Group

POOL = [random_group(seed) for seed in range(6)]
SETS = {"A": [random_group(50), random_group(51)], "B": [random_group(60)]}
DEAD = group_of("dead", [1], [[2, EOS], [3, EOS]], [1.0, 1.0], [[-1.0] * 2] * 2)
PROJECTORS: dict[str, Projector] = {
    "sparse": Sparse(keep=0.6, k=128), "columns": Columns(keep=0.6, k=10_000),
    "kronecker": Kronecker(outputs=3, inputs=3), "none": NoProjection(),
}  # fmt: skip


def measure(
    policy: Policy,
    folder: Path,
    projector: Projector,
    engine: Engine | None = None,
    *,
    moments: Mapping[str, torch.Tensor] | None = None,
    kind: Any = "none",
    costs: list[Cost] | None = None,
    **options: Any,
) -> Influences:
    context = SelectionContext(
        phase=0, seed=0, policy=policy, second_moment=lambda: moments,
        spend=(costs if costs is not None else []).append,
    )  # fmt: skip
    recipe = Recipe(engine or Fast(), projector, Estimator())
    measuring = Measuring(recipe, context, folder, **options)
    by_id = {group.prompt_id: group for group in POOL}
    candidates = Candidates.of(list(by_id), by_id)
    sets = measuring.validation(SETS)
    measuring.precondition(kind, 0.01, sets)
    return measuring.against(candidates, sets)


def dense(policy: Policy, projector: Projector, scale: torch.Tensor | None = None) -> Any:
    """Projected rows of pool and sets from autograd's gradients and the projector's own map."""
    shapes = shapes_of(policy)
    projection = projector.bind(shapes, policy.device)

    def row(group: Group) -> torch.Tensor:
        gradient = autograd_gradient(policy, group)
        if scale is not None:
            gradient = gradient * scale
        found = torch.zeros(1, projection.dimension, dtype=torch.float64)
        for shape, part in zip(shapes, gradient.split([s.numel for s in shapes]), strict=True):
            values = projection.restriction(shape.name).from_gradient(part.view(1, *shape.shape))
            projection.add(found, shape.name, values)
        return found[0]

    rows = torch.stack([row(group) for group in POOL])
    means = torch.stack([torch.stack([row(g) for g in groups]).mean(0) for groups in SETS.values()])
    return rows, means


def check(found: Influences, rows: torch.Tensor, means: torch.Tensor) -> None:
    np.testing.assert_allclose(found.dots, (rows @ means.T).numpy(), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.norms, rows.norm(dim=1).numpy(), rtol=1e-4)
    np.testing.assert_allclose(found.lengths, means.norm(dim=1).numpy(), rtol=1e-4)


@pytest.mark.parametrize("engine", [Fast(), Reference()], ids=["fast", "reference"])
@pytest.mark.parametrize("name", PROJECTORS)
def test_alignments_are_the_dense_ones(tmp_path: Path, name: str, engine: Engine) -> None:
    policy = policy_of("llama")
    projector = PROJECTORS[name]
    check(measure(policy, tmp_path, projector, engine), *dense(policy, projector))


@pytest.mark.parametrize("engine", [Fast(), Reference()], ids=["fast", "reference"])
@pytest.mark.parametrize("name", PROJECTORS)
def test_preconditioned_by_the_optimiser(tmp_path: Path, name: str, engine: Engine) -> None:
    """Every gradient over √(v + damping · mean v), before anything is projected."""
    policy = policy_of("llama")
    torch.manual_seed(3)
    moments = {n: torch.rand_like(p).detach() for n, p in policy.trainable()}
    flat = torch.cat([v.reshape(-1) for v in moments.values()])
    scale = 1.0 / torch.sqrt(flat + 0.01 * flat.mean())
    found = measure(policy, tmp_path, PROJECTORS[name], engine, moments=moments, kind="adam")
    check(found, *dense(policy, PROJECTORS[name], scale))


@pytest.mark.parametrize("kind", ["adam", "validation_diag"])
def test_before_the_first_step_the_validation_gradients_are_the_moment(
    tmp_path: Path, kind: str
) -> None:
    policy = policy_of("llama")
    squares = torch.stack([
        autograd_gradient(policy, g).square() for groups in SETS.values() for g in groups
    ]).mean(dim=0)
    scale = 1.0 / torch.sqrt(squares + 0.01 * squares.mean())
    found = measure(policy, tmp_path, NoProjection(), kind=kind)
    check(found, *dense(policy, NoProjection(), scale))


def test_normalised_validation_gradients(tmp_path: Path) -> None:
    policy = policy_of("llama")
    rows, _ = dense(policy, NoProjection())
    units = [
        torch.stack([torch.nn.functional.normalize(autograd_gradient(policy, g), dim=0) for g in s])
        for s in SETS.values()
    ]
    means = torch.stack([u.mean(dim=0) for u in units])
    for number, keep_rows in enumerate((False, True)):
        found = measure(
            policy, tmp_path / str(number), NoProjection(), normalise_validation=True,
            keep_rows=keep_rows,
        )  # fmt: skip
        check(found, rows, means)


def test_a_set_without_signal_guides_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = policy_of("llama")
    measuring = Measuring(
        Recipe(Fast(), NoProjection(), Estimator()),
        SelectionContext(phase=0, seed=0, policy=policy),
        tmp_path,
    )
    with caplog.at_level(logging.WARNING):
        assert list(measuring.validation({"A": SETS["A"], "dead": [DEAD]})) == ["A"]
    assert "validation/dead guides nothing" in caplog.text
    with pytest.raises(CropiError, match="no validation prompt has a gradient"):
        measuring.validation({"dead": [DEAD]})


@pytest.mark.parametrize("name", ["sparse", "none"])
def test_every_token_is_charged_once_also_by_a_second_start(tmp_path: Path, name: str) -> None:
    policy = policy_of("llama")
    costs: list[Cost] = []
    first = measure(policy, tmp_path, PROJECTORS[name], costs=costs)
    once = sum(costs, Cost()).amounts["selection"]
    again: list[Cost] = []
    second = measure(policy, tmp_path, PROJECTORS[name], costs=again)
    twice = sum(again, Cost()).amounts["selection"]
    np.testing.assert_array_equal(first.dots, second.dots)
    tokens = sum(
        sum(len(g.prompt_token_ids) + len(t.token_ids) for t in g.trajectories)
        for g in [*POOL, *SETS["A"], *SETS["B"]]
    )
    assert 0 < once["forward_tokens"] < tokens
    for kind in ("forward_tokens", "backward_tokens"):
        assert once[kind] == twice[kind]
    # The first start's seconds are timed around the selector; the second adds what it found.
    assert "seconds" not in once
    assert twice["seconds"] > 0


def test_no_room_on_the_disk_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    class Full:
        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Full)
    with pytest.raises(CropiError, match="GB are free"):
        measure(policy_of("llama"), tmp_path, PROJECTORS["sparse"])
