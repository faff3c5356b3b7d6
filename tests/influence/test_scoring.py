"""Filling a store: killed anywhere, by one process or several, it ends with the same bits."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from influence_cases import (
    autograd_gradient,
    group_of,
    policy_of,
    prepared,
    random_group,
    whole,
    wrap,
)
from worker_cases import Bigram, Drawn, die_at_write, kill_me

from cropi.contracts import PolicySource
from cropi.influence import scoring
from cropi.influence.directional import Directional
from cropi.influence.engine import Engine, Gradients
from cropi.influence.estimator import Estimator
from cropi.influence.fast import Fast
from cropi.influence.plan import Pass
from cropi.influence.prepared import Prepared
from cropi.influence.reference import Reference
from cropi.influence.scoring import COLUMNS, Filled, Place, Recipe, fill, mean_direction
from cropi.influence.store import GradientStore
from cropi.policies.policy import Policy
from cropi.policies.pretrained import HuggingFace
from cropi.policies.template import PromptTemplate
from cropi.policies.tiny import Tiny
from cropi.projectors.none import NoProjection
from cropi.projectors.projection import Projection
from cropi.projectors.sparse import Sparse
from cropi.runtime.errors import CropiError
from cropi.runtime.parts import part

POLICY = policy_of("llama", torch.float32)
RAW = [random_group(seed) for seed in range(10)]
GROUPS = prepared(*RAW)
# Its ratios overflow: what is computed of it means nothing.
BROKEN = prepared(group_of("broken", [1, 2], [[3], [4]], [1.0, 0.0], [[-500.0], [-1.0]]))[0]
FAST = Fast(batch_tokens=40)  # two or three groups a pass
KILLED = -signal.SIGKILL
COMPUTED: list[int] = []  # places that an engine was asked for


@part
class Counting(Fast):
    """The fast engine, leaving behind what it computed."""

    def gradients(
        self,
        policy: Policy,
        groups: Sequence[Prepared],
        projection: Projection,
        estimator: Estimator,
        passes: Sequence[Pass] | None = None,
    ) -> Iterator[Gradients]:
        for found in super().gradients(policy, groups, projection, estimator, passes):
            COMPUTED.extend(found.places)
            yield found


def sparse(engine: Engine = FAST) -> Recipe:
    return Recipe(engine, Sparse(keep=0.5, k=64), Estimator())


def exact(engine: Engine = FAST) -> Recipe:
    torch.manual_seed(5)
    return Recipe(engine, NoProjection(), Estimator(), torch.randn(2, whole(POLICY).dimension))


def filled(
    folder: Path, recipe: Recipe, *, policy: Policy = POLICY, groups: Sequence[Prepared] = GROUPS,
    **more: Any,
) -> Filled:  # fmt: skip
    projection = recipe.projection(policy)
    place = Place(folder, {"policy": policy.fingerprint()}, len(groups), projection.dimension)
    return fill(place, groups, recipe, projection, policy, **more)


def bits(store: GradientStore) -> dict[str, bytes]:
    """Everything that is kept but the time it took."""
    return {
        "rows": store.rows(range(store.count)).tobytes(),
        **{name: store.column(name).tobytes() for name in COLUMNS if name != "seconds"},
    }


# ── one process ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine", [FAST, Reference()], ids=["fast", "reference"])
@pytest.mark.parametrize("make", [sparse, exact])
def test_rows_and_columns_are_the_engines(
    tmp_path: Path, make: Callable[[Engine], Recipe], engine: Engine
) -> None:
    recipe = make(engine)
    told: list[int] = []
    store = filled(tmp_path, recipe, advance=lambda done, note: told.append(done)).store
    seen = 0
    for own in engine.gradients(POLICY, GROUPS, recipe.projection(POLICY), recipe.estimator):
        np.testing.assert_array_equal(store.rows(own.places), own.rows.numpy())
        for name, values in own.columns.items():
            np.testing.assert_array_equal(store.column(name)[own.places], values)
        seen += len(own.places)
    assert seen == sum(told) == len(GROUPS)
    assert (store.column("seconds") > 0).all()


def test_exact_rows_are_autograds_inner_products(tmp_path: Path) -> None:
    recipe = exact()
    rows = filled(tmp_path, recipe).store.rows(range(len(GROUPS)))
    wide = policy_of("llama")
    gradients = torch.stack([autograd_gradient(wide, group) for group in RAW])
    assert recipe.directions is not None
    np.testing.assert_allclose(rows[:, :2], gradients @ recipe.directions.double().T, rtol=1e-3)
    np.testing.assert_allclose(rows[:, 2], gradients.square().sum(dim=1), rtol=1e-4)


@pytest.mark.parametrize("engine", [FAST, Reference()], ids=["fast", "reference"])
def test_a_narrow_models_products_are_added_up_in_float32(engine: Engine) -> None:
    """Influence trap 9: the gradients are bfloat16, their sums must not be."""
    policy = policy_of("llama", torch.bfloat16)
    recipe = exact(engine)
    projection = recipe.projection(policy)
    rows = torch.zeros(10, 3)
    for own in engine.gradients(policy, GROUPS, projection, recipe.estimator):
        assert own.rows.dtype == torch.float32
        rows[own.places] = own.rows
    gradients = torch.stack([autograd_gradient(policy, group) for group in RAW])
    lengths = gradients.norm(dim=1)
    # Its forward passes differ by bfloat16's rounding as well.
    torch.testing.assert_close(rows[:, 2].sqrt().double(), lengths, rtol=0.1, atol=0)


def test_a_group_that_overflows_is_zero_and_marked_and_harms_no_other(tmp_path: Path) -> None:
    mixed = [*GROUPS[:3], BROKEN, *GROUPS[3:]]
    store = filled(tmp_path / "mixed", sparse(), groups=mixed).store
    whole = filled(tmp_path / "whole", sparse()).store
    others = [*range(3), *range(4, 11)]
    assert np.flatnonzero(store.column("finite") == 0).tolist() == [3]
    assert not store.rows([3]).any()
    np.testing.assert_allclose(store.rows(others), whole.rows(range(10)), rtol=1e-4, atol=1e-7)


def test_a_mean_leaves_out_what_means_nothing() -> None:
    recipe = Recipe(FAST, NoProjection(), Estimator())
    projection = recipe.projection(POLICY)
    wide = policy_of("llama")
    rows = torch.stack([autograd_gradient(wide, group) for group in RAW[:3]])
    units = torch.nn.functional.normalize(rows, dim=1)
    for normalised, expected in ((False, rows.mean(dim=0)), (True, units.mean(dim=0))):
        mean, columns = mean_direction(
            [*GROUPS[:2], BROKEN, GROUPS[2]], recipe, projection, POLICY, normalised=normalised
        )
        torch.testing.assert_close(mean.double(), expected, rtol=1e-4, atol=1e-6)
        assert columns["finite"].tolist() == [1.0, 1.0, 0.0, 1.0]
        assert set(columns) == set(COLUMNS)
    mean, columns = mean_direction([BROKEN], recipe, projection, POLICY, normalised=False)
    assert not mean.any()
    assert not columns["finite"].any()


@pytest.mark.parametrize("engine", [FAST, Reference()], ids=["fast", "reference"])
def test_a_parameter_without_a_gradient_is_told_at_every_start(
    tmp_path: Path, engine: Engine
) -> None:
    """Not only at the first, whose rows the second would find there."""
    model = Bigram()
    model.unused = torch.nn.Linear(2, 2, bias=False)
    policy = wrap(model)
    for _ in range(3):
        with pytest.raises(CropiError, match=r"no gradient reached unused\.weight"):
            filled(tmp_path, sparse(engine), policy=policy)


# ── killed ───────────────────────────────────────────────────────────────────────────────────


def killed_at_write(number: int, folder: Path, recipe: Recipe) -> int | None:
    """The exit code of a child that fills the store, if it can."""

    def child() -> None:
        die_at_write(number, kill_me)
        filled(folder, recipe)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize("make", [
    lambda: sparse(Counting(batch_tokens=40)), lambda: exact(Reference()),
    lambda: exact(Directional(batch_tokens=40)),
], ids=["fast", "reference", "directional"])  # fmt: skip
def test_killed_again_and_again(tmp_path: Path, make: Callable[[], Recipe]) -> None:
    whole = filled(tmp_path / "whole", make())
    assert whole.earlier_seconds == 0.0
    passes = make().engine.passes(POLICY, GROUPS, make().projection(POLICY))
    assert len(passes) >= 4
    folder = tmp_path / "killed"
    # In the middle of the first pass, then after each of a pass's writes in turn.
    for number in (1, 2, 3, 5, 4):
        assert killed_at_write(number, folder, make()) == KILLED
    COMPUTED.clear()
    last = filled(folder, make())
    assert bits(last.store) == bits(whole.store)
    # Only the write of number 3 and those of 5 and 4 put a whole pass there: a row's mark comes
    # last.
    seconds = last.store.column("seconds")
    done = [place for each in passes[:3] for place in each.places]
    assert last.earlier_seconds == pytest.approx(seconds[done].sum())
    if isinstance(make().engine, Counting):
        assert sorted({*COMPUTED, *done}) == list(range(10))
        assert len(COMPUTED) == 10 - len(done)
        filled(folder, make())
        assert len(COMPUTED) == 10 - len(done), "nothing is missing"


def test_a_pass_of_which_one_row_was_marked_is_computed_again(tmp_path: Path) -> None:
    """Marks of one pass are written together, but nothing promises that all reach the disk."""
    whole = filled(tmp_path / "whole", sparse()).store
    projection = sparse().projection(POLICY)
    place = Place(tmp_path / "torn", {"policy": POLICY.fingerprint()}, 10, projection.dimension)
    torn, first = place.open(), FAST.passes(POLICY, GROUPS, projection)[0].places
    assert len(first) > 1
    torn.write(first[1:], whole.rows(first[1:]), {
        name: whole.column(name)[list(first[1:])] for name in COLUMNS
    })  # fmt: skip
    told: list[int] = []
    again = filled(tmp_path / "torn", sparse(), advance=lambda done, note: told.append(done))
    assert bits(again.store) == bits(whole)
    assert told[0] == 0
    assert sum(told) == 10


# ── several processes ────────────────────────────────────────────────────────────────────────


def moved() -> Policy:
    """The same model a few steps later."""
    policy = Drawn().load(Path())
    with torch.no_grad():
        for _, parameter in policy.trainable():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return policy


def test_two_workers_with_trained_weights_finish_what_was_begun(tmp_path: Path) -> None:
    policy = moved()
    policy.save_weights(tmp_path / "weights")
    source = PolicySource(Drawn(), tmp_path, tmp_path / "weights")
    recipe = Recipe(FAST, Sparse(keep=0.5, k=64), Estimator(), scale={
        name: torch.rand_like(parameter).detach() for name, parameter in policy.trainable()
    })  # fmt: skip
    alone = filled(tmp_path / "alone", recipe, policy=policy).store
    folder = tmp_path / "together"
    projection = recipe.projection(policy)
    begun = Place(folder, {"policy": policy.fingerprint()}, 10, projection.dimension).open()
    passes = FAST.passes(policy, GROUPS, projection)
    assert len(passes) > 4
    first = passes[1]
    begun.write(
        first.places, alone.rows(first.places),
        {name: alone.column(name)[list(first.places)] for name in COLUMNS},
    )  # fmt: skip
    told: list[int] = []
    together = filled(
        folder, recipe, policy=policy, workers=2, source=source,
        advance=lambda done, note: told.append(done),
    )  # fmt: skip
    assert bits(together.store) == bits(alone)
    assert sum(told) == 10
    assert told[0] == len(first.places)
    kept = together.store.column("seconds")[list(first.places)]
    np.testing.assert_array_equal(kept, alone.column("seconds")[list(first.places)])
    assert together.earlier_seconds == pytest.approx(kept.sum())


@pytest.mark.slow
def test_three_workers_with_a_model_from_a_folder(tmp_path: Path) -> None:
    template = PromptTemplate(chat=False)
    Tiny(
        steps=0, hidden_size=16, layers=1, heads=2, template=template
    ).load(tmp_path).export(tmp_path / "model")
    model = HuggingFace(path=str(tmp_path / "model"), template=template)
    policy = model.load(tmp_path)
    source = PolicySource(model, tmp_path, None)
    recipe = Recipe(FAST, NoProjection(), Estimator(), torch.ones(1, whole(policy).dimension))
    alone = filled(tmp_path / "alone", recipe, policy=policy).store
    together = filled(tmp_path / "together", recipe, policy=policy, workers=3, source=source).store
    assert bits(together) == bits(alone)


@pytest.mark.parametrize(("end", "text"), [
    ("kill", "exit code -9 .killed: out of memory.*fewer workers"),
    ("raise", "failed: the disk is full of birds"),
])  # fmt: skip
def test_a_worker_that_fails_leaves_its_finished_rows(
    tmp_path: Path, end: str, text: str
) -> None:
    policy = Drawn().load(tmp_path)
    source = PolicySource(Drawn(end=end), tmp_path, None)
    with pytest.raises(CropiError, match=text):
        filled(tmp_path / "store", sparse(), policy=policy, workers=2, source=source)
    place = Place(tmp_path / "store", {"policy": policy.fingerprint()}, 10, 64)
    # Its first pass was whole, its second was not yet marked.
    left = place.open().missing()
    assert 0 < len(left) < 10
    again = filled(tmp_path / "store", sparse(), policy=policy)
    whole = filled(tmp_path / "whole", sparse(), policy=policy)
    assert bits(again.store) == bits(whole.store)
    assert again.earlier_seconds > 0


def test_a_worker_with_other_weights_refuses(tmp_path: Path) -> None:
    recipe = sparse()
    place = Place(tmp_path, {"policy": moved().fingerprint()}, 10, 64)
    place.open()
    todo = FAST.passes(moved(), GROUPS, recipe.projection(moved()))
    source = PolicySource(Drawn(), tmp_path, None)
    with pytest.raises(CropiError, match="other weights"):
        scoring._work(place, GROUPS, recipe, source, todo, 2, 1)
    assert len(place.open().missing()) == 10


def test_one_worker_is_no_process_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "run_all", lambda *_: pytest.fail("spawned"))
    source = PolicySource(Drawn(), tmp_path, None)
    filled(tmp_path / "a", sparse(), workers=1, source=source)
    filled(tmp_path / "b", sparse(), workers=8, source=None)  # nothing to load from
    filled(tmp_path / "c", sparse(), groups=GROUPS[:1], workers=8, source=source)
