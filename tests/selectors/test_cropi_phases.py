"""Cropi over phases: when it scores anew, what it remembers, what it leaves behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from influence_cases import policy_of
from influence_pools import (
    DEAD,
    LIVE,
    PLANTED,
    SETS,
    TARGET,
    context,
    cropi,
    flipped,
    named,
    pool_of,
    scored,
)

from cropi.contracts import SelectionContext
from cropi.influence.directional import Directional
from cropi.influence.reference import Reference
from cropi.projectors.sparse import Sparse
from cropi.selectors.files import read_scores, write_selection
from cropi.types import Scores


def test_refresh_is_the_selectors_word() -> None:
    assert cropi().refresh == "phase"
    assert cropi(refresh="once").refresh == "once"
    with pytest.raises(ValueError, match="refresh"):
        cropi(refresh="sometimes")


def test_a_past_is_kept_for_a_prompt_that_has_no_gradient_for_a_while(tmp_path: Path) -> None:
    """Scores of three phases, each read back from the last one's file as in a run."""
    selector = cropi(average=0.5, alpha=0.5)
    pool, full = pool_of(LIVE)
    without = {
        **full, "prompt3": flipped(LIVE[3], "prompt3"), "prompt2": named(DEAD, "prompt2"),
    }  # fmt: skip
    del without["prompt5"]
    own = {  # each phase's standardised scores, by itself
        name: selector.score(pool, context(groups, SETS)).components["average/A"]
        for name, groups in (("full", full), ("without", without))
    }
    previous: Scores | None = None
    found = []
    for phase, groups in enumerate((full, without, full)):
        scores = selector.score(
            pool, context(groups, SETS, phase=phase, previous=lambda past=previous: past)
        )
        folder = tmp_path / str(phase)
        write_selection(folder, selector.select(scores, 4), scores, {p.id: p for p in pool})
        previous = read_scores(folder)
        found.append(scores)
    gone = [2, 5]
    assert np.isnan(own["without"][gone]).all()
    now = np.nan_to_num(own["without"])
    second = 0.5 * own["full"] + 0.5 * now  # the missing ones' past fades by half
    np.testing.assert_allclose(found[1].components["average/A"], second, atol=1e-6)
    assert not found[1].valid[gone].any(), "a past alone does not make it eligible"
    left = [i for i in range(8) if i not in gone]
    ranks = (-second[left]).argsort().argsort() + 1.0  # the average is what counts
    np.testing.assert_array_equal(found[1].components["rank/A"][left], ranks)
    assert not np.array_equal(ranks, (-now[left]).argsort().argsort() + 1.0)
    assert set(selector.select(found[1], 8).ids).isdisjoint({"prompt2", "prompt5"})
    third = 0.5 * second + 0.5 * own["full"]
    np.testing.assert_allclose(found[2].components["average/A"], third, atol=1e-6)


def test_a_new_prompt_and_a_new_set_have_no_past() -> None:
    pool, groups = pool_of(LIVE)
    before = cropi(average=0.7).score(pool[1:], context(groups, {"A": SETS["A"]}))
    now = cropi(average=0.7).score(
        pool, context(groups, SETS, phase=1, previous=lambda: before)
    )
    alone = cropi(average=0.7).score(pool, context(groups, SETS))
    np.testing.assert_array_equal(now.components["average/B"], alone.components["average/B"])
    assert now.components["average/A"][0] == alone.components["average/A"][0]
    np.testing.assert_allclose(
        now.components["average/A"][1:],
        0.7 * before.components["average/A"] + 0.3 * alone.components["average/A"][1:],
    )


# ── what is left behind ──────────────────────────────────────────────────────────────────────


def test_rows_go_to_the_phases_folder_or_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    one = scored(projector=Sparse(k=64))
    assert not list((tmp_path / "temporary").iterdir())
    other = scored(projector=Sparse(k=64), given={"folder": tmp_path / "phase"})
    np.testing.assert_array_equal(one.values, other.values)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("store.json")) == [
        "phase/gradients/train/store.json", "phase/gradients/validation/A/store.json",
        "phase/gradients/validation/B/store.json",
    ]  # fmt: skip


def test_scoring_leaves_the_policy_as_it_was() -> None:
    policy = policy_of("llama", torch.float32)
    before = policy.fingerprint()
    pool, groups = pool_of(PLANTED)
    for options in ({}, {"engine": Reference()}, {"engine": Directional(), "metric": "dot"}):
        cropi(**options).score(
            pool, SelectionContext(
                phase=0, seed=0, policy=policy, rollouts=groups, validation={"A": [TARGET]}
            ),
        )  # fmt: skip
        assert policy.fingerprint() == before
        assert all(p.grad is None for _, p in policy.trainable())
