"""CROPI, GradAlign and LearnAlign on pools whose right order is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from influence_cases import EOS, group_of, random_group
from influence_pools import (
    DEAD,
    LIVE,
    PLANTED,
    POLICY,
    SETS,
    TARGET,
    context,
    cropi,
    exact_cosines,
    flipped,
    gradients,
    named,
    pool_of,
    prompt,
)

from cropi.contracts import SelectionContext
from cropi.influence.directional import Directional
from cropi.influence.estimator import Estimator
from cropi.influence.fast import Fast
from cropi.projectors.none import NoProjection
from cropi.projectors.sparse import Sparse
from cropi.runtime.errors import ConfigError, CropiError
from cropi.selectors.freshness import drawn_share, joined, with_training
from cropi.selectors.gradalign import GradAlign
from cropi.selectors.learnalign import LearnAlign
from cropi.types import Group, Prompt, Scores


@pytest.mark.parametrize("projector", [NoProjection(), Sparse(keep=1.0, k=256), Sparse(keep=0.5)])
def test_the_planted_order_is_found(projector: Any) -> None:
    pool, groups = pool_of(PLANTED)
    scores = cropi(projector=projector, alpha=1.0).score(pool, context(groups, {"A": [TARGET]}))
    influence = dict(zip(scores.ids, scores.components["influence/A"], strict=True))
    assert influence["same"] == pytest.approx(1.0, abs=1e-5)
    assert influence["against"] == pytest.approx(-1.0, abs=1e-5)
    order = cropi(alpha=1.0).select(scores, 6).ids
    assert order[0] == "same"
    assert order[-1] == "against"
    # Influence trap 28, pitfall 41: no signal is no score, never NaN, never taken.
    assert "dead" not in order
    assert not scores.valid[2]
    assert np.isfinite(scores.values).all()
    assert scores.metrics["masked_share/equal_rewards"] == pytest.approx(1 / 6)


def test_the_order_of_the_pool_is_nothing() -> None:
    pool, groups = pool_of(PLANTED)
    one = cropi().score(pool, context(groups, {"A": [TARGET], "B": [random_group(41)]}))
    other = cropi().score(pool[::-1], context(groups, {"A": [TARGET], "B": [random_group(41)]}))
    assert cropi().select(one, 3).ids == cropi().select(other, 3).ids


def test_ranks_are_fused_as_in_the_release() -> None:
    """Σ 1/rank over the sets, ranks beyond the budget counting nothing."""
    pool, groups = pool_of(LIVE)
    cosines = exact_cosines(LIVE, SETS)
    ranks = (-cosines).argsort(axis=0).argsort(axis=0) + 1.0
    scores = cropi(alpha=0.5).score(pool, context(groups, SETS))
    np.testing.assert_allclose(scores.components["influence/A"], cosines[:, 0], atol=1e-4)
    np.testing.assert_array_equal(scores.components["rank/B"], ranks[:, 1])
    expected = np.where(ranks <= 4, 1.0 / ranks, 0.0).sum(axis=1)
    np.testing.assert_allclose(scores.values, expected)
    usual = cropi(rrf_constant=60.0, rrf_within_budget=False).score(pool, context(groups, SETS))
    np.testing.assert_allclose(usual.values, (1.0 / (60.0 + ranks)).sum(axis=1))
    mean = cropi(fusion="mean").score(pool, context(groups, SETS)).values
    z = (cosines - cosines.mean(0)) / cosines.std(0)
    np.testing.assert_allclose(mean, z.mean(axis=1), atol=1e-3)
    reason = cropi().select(scores, 4).reasons[0]
    assert "A " in reason
    assert "(#" in reason
    assert "pass rate" in reason


@pytest.mark.parametrize("projector", [NoProjection(), Sparse(keep=1.0, k=100_000)])
def test_the_inverse_is_the_dense_one(projector: Any) -> None:
    pool, groups = pool_of(LIVE)
    rows = gradients(LIVE)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = np.linalg.solve(units @ units.T + 0.5 * np.eye(8), exact_cosines(LIVE, SETS))
    scores = cropi(inverse=0.5, projector=projector).score(pool, context(groups, SETS))
    for m, name in enumerate(SETS):
        np.testing.assert_allclose(
            scores.components[f"influence/{name}"], expected[:, m], atol=1e-4
        )


def test_averages_look_back_by_id() -> None:
    pool, groups = pool_of(LIVE)
    first = cropi(average=0.5).score(pool, context(groups, SETS))
    before = replace_order(first)
    second = cropi(average=0.5).score(pool, context(groups, SETS, phase=1, previous=lambda: before))
    # Standardised scores that do not change are their own average.
    np.testing.assert_allclose(
        second.components["average/A"], first.components["average/A"], atol=1e-9
    )
    other = {**groups, "prompt0": named(flipped(LIVE[0], "x"), "prompt0")}
    third = cropi(average=0.5).score(pool, context(other, SETS, phase=1, previous=lambda: before))
    alone = cropi(average=0.5).score(pool, context(other, SETS))
    np.testing.assert_allclose(
        third.components["average/A"],
        0.5 * first.components["average/A"] + 0.5 * alone.components["average/A"], atol=1e-9,
    )  # fmt: skip


def replace_order(scores: Scores) -> Scores:
    """The same scores with the pool in another order."""
    order = np.arange(len(scores.ids))[::-1]
    return Scores(
        tuple(scores.ids[i] for i in order), scores.values[order], scores.valid[order],
        {name: column[order] for name, column in scores.components.items()},
    )  # fmt: skip


def test_the_chance_of_a_mixed_group_weighs_positive_scores() -> None:
    pool, groups = pool_of(LIVE)
    plain = cropi(fusion="max").score(pool, context(groups, {"A": SETS["A"]}))
    weighed = cropi(fusion="max", mixed_group=4, mixed_shrink=0.0).score(
        pool, context(groups, {"A": SETS["A"]})
    )
    p = weighed.components["pass_rate"]
    chance = 1 - p**4 - (1 - p) ** 4
    expected = np.where(plain.values > 0, plain.values * chance, plain.values)
    np.testing.assert_allclose(weighed.values, expected, rtol=1e-9)


def test_one_broken_prompt_is_left_out_and_the_others_stay() -> None:
    """Influence trap 25 (trl#6297)."""
    broken = group_of(
        "broken", [1], [[2, EOS], [3, EOS]], [1.0, 0.0], [[float("nan"), -1.0], [-1.0, -1.0]]
    )
    pool, groups = pool_of([*LIVE, broken])
    scores = cropi().score(pool, context(groups, SETS))
    alone = cropi().score(*_with(context, LIVE))
    assert scores.valid.tolist() == [True] * 8 + [False]
    np.testing.assert_allclose(scores.values[:8], alone.values)
    assert "masked_share/log-probabilities_not_finite" in scores.metrics


def _with(make: Any, live: Sequence[Group]) -> tuple[list[Prompt], SelectionContext]:
    pool, groups = pool_of(live)
    return pool, make(groups, SETS)


def test_a_pool_without_any_gradient_is_an_error_in_plain_words() -> None:
    pool, groups = pool_of([DEAD])
    with pytest.raises(CropiError, match="no prompt has a gradient"):
        cropi().score(pool, context(groups, SETS))


def test_directional_says_what_it_cannot_give() -> None:
    with pytest.raises(ValueError, match="metric=dot"):
        cropi(engine=Directional())
    with pytest.raises(ValueError, match="projector=none"):
        cropi(engine=Directional(), metric="dot", projector=Sparse())
    pool, groups = pool_of(LIVE)
    found = cropi(engine=Directional(), metric="dot").score(pool, context(groups, SETS))
    exact = cropi(metric="dot").score(pool, context(groups, SETS))
    np.testing.assert_array_equal(found.components["rank/A"], exact.components["rank/A"])


# ── freshness ────────────────────────────────────────────────────────────────────────────────


def test_training_groups_replace_or_join_with_their_own_behaviour() -> None:
    old, new = random_group(0), named(random_group(9), "prompt0")
    new = replace(new, prompt_token_ids=old.prompt_token_ids)
    assert with_training({"prompt0": old}, {"prompt0": new}, "none") == {"prompt0": old}
    assert with_training({"prompt0": old}, {"prompt0": new}, "latest") == {"prompt0": new}
    both = with_training({"prompt0": old}, {"prompt0": new}, "merged")["prompt0"]
    assert both.trajectories == (*old.trajectories, *new.trajectories)
    pool, groups = pool_of([both, *LIVE[1:]])
    scores = cropi().score(pool, context(groups, SETS))
    cosines = exact_cosines([both, *LIVE[1:]], SETS)  # autograd with each one's own log-probs
    np.testing.assert_allclose(scores.components["influence/A"], cosines[:, 0], atol=1e-4)
    with pytest.raises(ConfigError, match="temperature"):
        joined(old, replace(new, temperature=0.6))
    assert cropi(reuse="latest").needs() == {"rollouts", "validation", "training"}
    assert cropi(fresh_validation=True).needs() == {
        "rollouts", "validation", "validation_prompts"
    }  # fmt: skip


def test_the_share_that_is_drawn_anew() -> None:
    pool = [prompt(str(i)) for i in range(100)]
    at = {phase: SelectionContext(phase=phase, seed=0, policy=POLICY) for phase in (1, 2)}
    one = drawn_share(pool, 0.25, at[1])
    assert len(one) == 25
    assert {p.id for p in one} == {p.id for p in drawn_share(pool[::-1], 0.25, at[1])}
    assert {p.id for p in one} != {p.id for p in drawn_share(pool, 0.25, at[2])}


def test_fresh_rollouts_are_asked_for_where_they_should_be() -> None:
    asked: list[tuple[str, int]] = []
    pool, groups = pool_of(LIVE)
    prompts = {n: [prompt(g.prompt_id) for g in s] for n, s in SETS.items()}

    def fresh(name: str, wanted: Sequence[Prompt]) -> dict[str, Group]:
        asked.append((name, len(wanted)))
        known = {**groups, **{g.prompt_id: g for s in SETS.values() for g in s}}
        return {p.id: known[p.id] for p in wanted}

    more = {"fresh": fresh, "validation_prompts": prompts}
    selector = cropi(refresh_share=0.5, fresh_validation=True)
    first = selector.score(pool, context(groups, SETS, **more))
    assert asked == [], "in the first phase β is the current policy"
    later = selector.score(pool, context(groups, SETS, phase=1, **more))
    assert asked == [("train", 4), ("validation/A", 2), ("validation/B", 1)]
    np.testing.assert_allclose(later.values, first.values)
    asked.clear()
    alone = GradAlign(projector=NoProjection(), engine=Fast(), alpha=0.5, pool_share=0.5)
    scores = alone.score(pool, context({}, {}, **more))
    assert asked == [("train", 4), ("validation/A", 2), ("validation/B", 1)]
    assert scores.valid.sum() == 4
    assert alone.needs() == {"validation_prompts"}


def test_learnalign_is_the_double_sum() -> None:
    pool, groups = pool_of([*LIVE, DEAD])
    selector = LearnAlign(projector=NoProjection(), engine=Fast())
    scores = selector.score(pool, context(groups, {}))
    rows = gradients(LIVE)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    p = np.array([g.rewards.mean() for g in LIVE])
    v = p * (1 - p)
    expected = [
        sum(v[i] * v[j] * float(units[i] @ units[j]) for j in range(8)) for i in range(8)
    ]
    np.testing.assert_allclose(scores.values[:8], expected, rtol=1e-4)
    assert not scores.valid[8]
    assert "pass rate" in selector.select(scores, 2).reasons[0]


def test_the_estimator_matters_once_the_policy_has_moved() -> None:
    pool, groups = pool_of(LIVE)
    token = cropi().score(pool, context(groups, SETS))
    sequence = cropi(estimator=Estimator(ratio="sequence", ratio_cap=1.0)).score(
        pool, context(groups, SETS)
    )
    assert not np.allclose(token.components["influence/A"], sequence.components["influence/A"])
    assert token.metrics["drift/log_ratio"] > 0.1
