"""LearnAlign: the double sum over the pool, whatever the rows are, and who has no part in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from influence_cases import EOS, autograd_gradient, group_of, random_group
from influence_pools import DEAD, LIVE, OVERFLOWS, POLICY, WIDE, context, named, pool_of

from cropi.influence.directional import Directional
from cropi.influence.estimator import Estimator
from cropi.influence.fast import Fast
from cropi.influence.reference import Reference
from cropi.projectors.kronecker import Kronecker
from cropi.projectors.none import NoProjection
from cropi.projectors.sparse import Sparse
from cropi.runtime.errors import CropiError
from cropi.selectors.learnalign import LearnAlign
from cropi.types import Group, Scores, Verdict

# Pass rates of 1/3, so that p(1−p) is not the same everywhere.
UNEVEN = [
    group_of(f"uneven{i}", [i, 2], [[3 + i, EOS], [4], [5 + i, 6]], [1.0, 0.0, 0.0],
             [[-1.0, -0.5], [-2.0], [-1.0, -1.5]])
    for i in range(3)
]  # fmt: skip
MIXED = [*LIVE[:4], *UNEVEN]


def learnalign(**options: Any) -> LearnAlign:
    return LearnAlign(**{"projector": NoProjection(), "engine": Fast(), **options})


def scored(groups: Sequence[Group], selector: LearnAlign, **more: Any) -> Scores:
    pool, by_id = pool_of(groups)
    return selector.score(pool, context(by_id, {}, **more))


def double_sum(groups: Sequence[Group], scale: torch.Tensor | None = None) -> np.ndarray:
    rows = torch.stack([autograd_gradient(WIDE, group) for group in groups])
    rows = rows if scale is None else rows * scale
    p = np.array([np.mean([t.reward for t in group.trajectories]) for group in groups])
    found = np.zeros(len(groups))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            cosine = float(one @ other / (one.norm() * other.norm()))
            found[i] += p[i] * (1 - p[i]) * p[j] * (1 - p[j]) * cosine
    return found


@pytest.mark.parametrize("engine", [Fast(), Reference(), Directional()])
def test_the_double_sum_whoever_computes_the_rows(engine: Any) -> None:
    scores = scored(MIXED, learnalign(engine=engine))
    np.testing.assert_allclose(scores.values, double_sum(MIXED), rtol=1e-3, atol=1e-6)
    p = [0.5] * 4 + [1 / 3] * 3
    np.testing.assert_allclose(scores.components["pass_rate"], p)
    np.testing.assert_allclose(scores.components["learnability"], [x * (1 - x) for x in p])


def test_learnability_is_that_of_being_right() -> None:
    formed = [
        replace(group, trajectories=tuple(
            replace(t, verdict=Verdict(t.reward, "ok", "hand", parts={"correctness": float(not i)}))
            for i, t in enumerate(group.trajectories)
        ))
        for group in MIXED
    ]  # fmt: skip
    rates = scored(formed, learnalign()).components["pass_rate"]
    np.testing.assert_allclose(rates, [1 / len(group.trajectories) for group in MIXED])


@pytest.mark.parametrize("projector", [Sparse(keep=1.0, k=100_000), Kronecker(outputs=8, inputs=8)])
def test_projected_rows_give_the_same_scores_nearly(projector: Any) -> None:
    scores = scored(MIXED, learnalign(projector=projector))
    found, exact = scores.values, double_sum(MIXED)
    if isinstance(projector, Sparse):  # as many buckets as coordinates: nothing is mixed
        np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-6)
    else:
        assert np.corrcoef(found, exact)[0, 1] > 0.8


@pytest.mark.parametrize("kind", ["adam", "validation_diag"])
def test_preconditioned_by_the_optimiser_or_by_the_pool_itself(kind: str) -> None:
    torch.manual_seed(1)
    moments = {name: torch.rand_like(p).detach() for name, p in POLICY.trainable()}
    if kind == "adam":
        flat = torch.cat([v.reshape(-1) for v in moments.values()]).double()
    else:
        rows = torch.stack([autograd_gradient(WIDE, group) for group in MIXED])
        flat = rows.square().mean(dim=0)
    scale = 1.0 / torch.sqrt(flat + 0.01 * flat.mean())
    scores = scored(
        MIXED, learnalign(precondition=kind, damping=0.01), second_moment=lambda: moments
    )
    np.testing.assert_allclose(scores.values, double_sum(MIXED, scale), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kl", [0.0, 0.1])
def test_nothing_to_learn_is_undefined_also_where_it_has_a_gradient(kl: float) -> None:
    """Influence trap 28: a score of 0 would stand before every prompt that the pool opposes."""
    scores = scored(
        [DEAD, *MIXED, named(DEAD, "dead2"), OVERFLOWS], learnalign(estimator=Estimator(kl=kl))
    )
    assert scores.valid.tolist() == [False, *[True] * 7, False, False]
    assert (scores.values[~scores.valid] == 0).all()
    if kl == 0.0:
        expected = double_sum(MIXED)
        np.testing.assert_allclose(scores.values[1:8], expected, rtol=1e-3, atol=1e-6)
    chosen = learnalign().select(scores, 10)
    assert len(chosen.ids) == 7
    assert chosen.ids[0] == scores.ids[int(np.argmax(np.where(scores.valid, scores.values, -9)))]


def test_groups_of_training_are_used_where_asked() -> None:
    newer = named(UNEVEN[0], LIVE[0].prompt_id)
    more = {"training": {newer.prompt_id: newer}}
    plain = scored(LIVE, learnalign(), **more)
    np.testing.assert_allclose(plain.values, double_sum(LIVE), rtol=1e-3, atol=1e-6)
    latest = scored(LIVE, learnalign(reuse="latest"), **more)
    expected = double_sum([newer, *LIVE[1:]])
    np.testing.assert_allclose(latest.values, expected, rtol=1e-3, atol=1e-6)
    assert learnalign().needs() == {"rollouts"}
    assert learnalign(reuse="merged").needs() == {"rollouts", "training"}


def test_no_signal_anywhere_is_said() -> None:
    with pytest.raises(CropiError, match=r"no prompt has a gradient: .*1 equal rewards"):
        scored([DEAD], learnalign())
    scores = scored([OVERFLOWS, DEAD], learnalign())
    with pytest.raises(CropiError, match="no prompt has a finite gradient"):
        learnalign().select(scores, 1)


def test_the_order_of_the_pool_moves_no_score() -> None:
    one = scored(MIXED, learnalign(projector=Sparse(k=4096)))
    other = scored(MIXED[::-1], learnalign(projector=Sparse(k=4096)))
    np.testing.assert_allclose(one.values, other.values[::-1], rtol=1e-4)
    assert random_group(0).prompt_id == LIVE[0].prompt_id  # what the tests above rely on
