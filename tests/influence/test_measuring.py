"""Validation means, inner products and charges: what counts, what is kept, what is refused."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from influence_cases import EOS, autograd_gradient, group_of, policy_of, random_group

from cropi.contracts import Projector, SelectionContext
from cropi.influence import measuring as module
from cropi.influence.candidates import Candidates
from cropi.influence.estimator import Estimator
from cropi.influence.fast import Fast
from cropi.influence.measuring import Influences, Measuring
from cropi.influence.scoring import Recipe
from cropi.policies.policy import Policy
from cropi.projectors.none import NoProjection
from cropi.projectors.sparse import Sparse
from cropi.runtime.errors import CropiError, DataError
from cropi.types import Cost, Group

POLICY, WIDE = policy_of("llama", torch.float32), policy_of("llama")
POOL = [random_group(seed) for seed in range(6)]
DEAD = group_of("dead", [1], [[2, EOS], [3, EOS]], [1.0, 1.0], [[-1.0] * 2] * 2)
UNSCORED = group_of("unscored", [1], [[2, EOS], [3, EOS]], [None, 1.0], [[-1.0] * 2] * 2)
NAN = group_of("nan", [1], [[2], [3]], [1.0, 0.0], [[float("nan")], [-1.0]])
OVERFLOWS = group_of("overflows", [1, 2], [[3], [4]], [1.0, 0.0], [[-500.0], [-1.0]])
ALIVE = {"A": [random_group(50), random_group(51)], "B": [random_group(60)]}
# The same sets among prompts that say nothing, each for another reason.
SETS = {"A": [DEAD, ALIVE["A"][0], OVERFLOWS, ALIVE["A"][1], NAN], "B": [UNSCORED, *ALIVE["B"]]}
ENGINE = Fast(batch_tokens=40)
SPARSE = Sparse(keep=0.5, k=64)


class Watched:
    """One scoring, and all that it told its context."""

    def __init__(self, folder: Path, projector: Projector, **options: Any) -> None:
        self.costs: list[Cost] = []
        self.stages: dict[str, list[int]] = {}  # title -> total, then what was done at a time
        policy = options.pop("policy", POLICY)
        estimator = options.pop("estimator", Estimator())
        context = SelectionContext(
            phase=0, seed=0, policy=policy, spend=self.costs.append, stage=self._stage
        )
        self.measuring = Measuring(
            Recipe(ENGINE, projector, estimator), context, folder, **options
        )

    @contextmanager
    def _stage(self, title: str, total: int) -> Iterator[Callable[[int, str], None]]:
        done = self.stages[title] = [total]
        yield lambda number, note: done.append(number)

    def against(
        self, sets: Mapping[str, Sequence[Group]] = SETS, pool: Sequence[Group] = POOL
    ) -> Influences:
        by_id = {group.prompt_id: group for group in pool}
        candidates = Candidates.of(list(by_id), by_id)
        return self.measuring.against(candidates, self.measuring.validation(sets))

    @property
    def charged(self) -> dict[str, float]:
        return dict(sum(self.costs, Cost()).amounts.get("selection", {}))


def gradients(groups: Sequence[Group]) -> torch.Tensor:
    return torch.stack([autograd_gradient(WIDE, group) for group in groups])


@pytest.mark.parametrize("keep_rows", [False, True])
@pytest.mark.parametrize("normalise", [False, True])
def test_a_float32_model_gives_float64_autograds_alignments(
    tmp_path: Path, keep_rows: bool, normalise: bool
) -> None:
    """Validation means are over the prompts that have a gradient, and no others."""
    found = Watched(
        tmp_path, NoProjection(), keep_rows=keep_rows, normalise_validation=normalise
    ).against()
    rows = gradients(POOL)
    unit = torch.nn.functional.normalize
    means = torch.stack([
        (unit(own, dim=1) if normalise else own).mean(dim=0)
        for own in (gradients(groups) for groups in ALIVE.values())
    ])
    scale = float(rows.norm(dim=1).max() * means.norm(dim=1).max())
    np.testing.assert_allclose(found.dots, rows @ means.T, rtol=1e-4, atol=1e-6 * scale)
    np.testing.assert_allclose(found.norms, rows.norm(dim=1), rtol=1e-5)
    np.testing.assert_allclose(found.lengths, means.norm(dim=1), rtol=1e-5)
    assert (found.rows is not None) == (found.directions is not None) == keep_rows
    assert (found.columns["finite"] == 1).all()


@pytest.mark.parametrize("projector", [SPARSE, NoProjection()], ids=["sparse", "none"])
def test_a_set_whose_gradients_all_overflow_is_named(tmp_path: Path, projector: Projector) -> None:
    with pytest.raises(CropiError, match=r"none of the 1 gradients of validation/B .*ratio_cap"):
        Watched(tmp_path, projector).against({"A": ALIVE["A"], "B": [OVERFLOWS]})
    capped = Watched(tmp_path / "capped", projector, estimator=Estimator(ratio_cap=2.0))
    assert np.isfinite(capped.against({"A": ALIVE["A"], "B": [OVERFLOWS]}).dots).all()


def test_a_candidate_that_overflows_has_no_alignment_and_changes_no_others(
    tmp_path: Path,
) -> None:
    for projector in (SPARSE, NoProjection()):
        folder = tmp_path / type(projector).__name__
        alone = Watched(folder / "alone", projector).against()
        found = Watched(folder / "with", projector).against(pool=[*POOL[:2], OVERFLOWS, *POOL[2:]])
        assert found.columns["finite"].tolist() == [1, 1, 0, 1, 1, 1, 1]
        assert not found.dots[2].any()
        assert found.norms[2] == 0
        others = [0, 1, 3, 4, 5, 6]
        np.testing.assert_allclose(found.dots[others], alone.dots, rtol=1e-4, atol=1e-6)


def test_progress_is_told_prompt_by_prompt(tmp_path: Path) -> None:
    for projector in (SPARSE, NoProjection()):
        watched = Watched(tmp_path / type(projector).__name__, projector)
        watched.against()
        # The total first; OVERFLOWS looks like any other prompt until it is computed.
        assert {title: done[0] for title, done in watched.stages.items()} == {
            "gradients of validation/A": 3, "gradients of validation/B": 1,
            "gradients of train": 6,
        }  # fmt: skip
        assert all(sum(done[1:]) == done[0] for done in watched.stages.values())


# ── kept for a second start ──────────────────────────────────────────────────────────────────


def moved(by: float) -> Policy:
    policy = policy_of("llama", torch.float32)
    with torch.no_grad():
        next(iter(policy.trainable()))[1].add_(by)
    return policy


def test_a_saved_mean_is_read_again_only_if_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    original = module.mean_direction

    def counted(groups: Any, *arguments: Any, **kwargs: Any) -> Any:
        computed.append(len(groups))
        return original(groups, *arguments, **kwargs)

    monkeypatch.setattr(module, "mean_direction", counted)

    def means(sets: Mapping[str, Sequence[Group]] = ALIVE, **options: Any) -> Any:
        computed.clear()
        watched = Watched(tmp_path, NoProjection(), **options)
        found = {
            name: watched.measuring._mean(name, members)
            for name, members in watched.measuring.validation(sets).items()
        }
        return found, list(computed)

    first, counts = means()
    assert counts == [2, 1]
    again, counts = means()
    assert counts == []
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = {**ALIVE, "B": [replace(ALIVE["B"][0], temperature=0.7)]}
    assert means(other)[1] == [1], "the groups of B changed"
    assert means(other)[1] == []
    assert means(normalise_validation=True)[1] == [2, 1]
    assert means(estimator=Estimator(length_norm="group"))[1] == [2, 1]
    assert means(policy=moved(1e-3))[1] == [2, 1]
    back, counts = means()
    assert counts == [2, 1]
    assert torch.equal(back["A"], first["A"])


def test_rows_of_another_policy_are_refused_by_name(tmp_path: Path) -> None:
    Watched(tmp_path, SPARSE).against()
    with pytest.raises(DataError, match=r"identity\.policy was"):
        Watched(tmp_path, SPARSE, policy=moved(1e-3)).against()
    with pytest.raises(DataError, match=r"identity\.estimator\.kl was 0\.0, is 0\.1"):
        Watched(tmp_path, SPARSE, estimator=Estimator(kl=0.1)).against()


def test_exact_products_with_other_directions_are_refused_by_name(tmp_path: Path) -> None:
    Watched(tmp_path, NoProjection()).against(ALIVE)
    with pytest.raises(DataError, match=r"identity\.projection\.directions was"):
        Watched(tmp_path, NoProjection()).against({**ALIVE, "B": [random_group(61)]})


def killed_in(stage: str, number: int, folder: Path, projector: Projector) -> int | None:
    """The exit code of a child that dies when a stage tells of its ``number``-th piece."""

    def child() -> None:
        watched = Watched(folder, projector)
        original = watched._stage

        @contextmanager
        def deadly(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
            with original(title, total) as advance:
                left = number if stage in title else 1_000_000

                def count(done: int, note: str) -> None:
                    nonlocal left
                    advance(done, note)
                    left -= done
                    if left <= 0:
                        os.kill(os.getpid(), signal.SIGKILL)

                yield count

        context = replace(watched.measuring.context, stage=deadly)
        watched.measuring = replace(watched.measuring, context=context)
        watched.against()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize("projector", [SPARSE, NoProjection()], ids=["sparse", "none"])
def test_killed_in_every_stage_it_ends_the_same_and_charges_once(
    tmp_path: Path, projector: Projector
) -> None:
    whole = Watched(tmp_path / "whole", projector)
    expected = whole.against()
    assert "seconds" not in whole.charged, "those of one start are timed around it"
    folder = tmp_path / "killed"
    for stage, number in (("validation/A", 2), ("validation/B", 1), ("train", 1), ("train", 4)):
        assert killed_in(stage, number, folder, projector) == -signal.SIGKILL
    last = Watched(folder, projector)
    found = last.against()
    np.testing.assert_array_equal(found.dots, expected.dots)
    np.testing.assert_array_equal(found.norms, expected.norms)
    for name in set(expected.columns) - {"seconds"}:
        np.testing.assert_array_equal(found.columns[name], expected.columns[name])
    tokens = {kind: whole.charged[kind] for kind in ("forward_tokens", "backward_tokens")}
    assert last.charged.items() >= tokens.items()
    assert last.charged["seconds"] > 0, "the killed starts' rows were paid for too"
    assert sum(last.stages["gradients of train"][1:]) == 6


# ── room on the disk ─────────────────────────────────────────────────────────────────────────


def test_room_is_asked_for_before_a_store_is_made_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_free = 0
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=bytes_free))
    watched = Watched(tmp_path, SPARSE)
    bytes_free = 6 * 64 * 4 - 1  # the validation sets' 3 and 1 rows fit, the pool's 6 do not
    with pytest.raises(CropiError, match=r"6 gradients of 64 numbers need .*projector\.k"):
        watched.against()
    assert not (tmp_path / "train").exists()
    bytes_free = 6 * 64 * 4
    watched.against()
    bytes_free = 0  # what is there already needs no more
    Watched(tmp_path, SPARSE).against()
