"""Selectors without gradients against hand-computed choices."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from baselines.full import Full
from baselines.learnability import Learnability
from baselines.pass_rate import PassRate
from baselines.random import Random
from cropi.contracts import SelectionContext, Selector
from cropi.runtime.errors import ConfigError, CropiError
from cropi.selectors.ranking import budget_of, ranked
from cropi.types import Group, Prompt, Scores, Trajectory, Verdict


def group(prompt: Prompt, rewards: Sequence[float | None]) -> Group:
    return Group(prompt.id, np.array([1], np.int32), tuple(
        Trajectory(np.array([2], np.int32), np.zeros(1, np.float32), "stop", "",
                   Verdict(r, "ok" if r is not None else "bad_gold", "t"))
        for r in rewards
    ))


POOL = [Prompt.create(f"q{i}", ["1"], source="t") for i in range(6)]
# pass rates 0, 1/4, 1/2, 3/4, 1, unscorable
REWARDS: list[list[float | None]] = [
    [0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [None] * 4
]


def context(phase: int = 0, seed: int = 0) -> SelectionContext:
    rollouts = {p.id: group(p, r) for p, r in zip(POOL, REWARDS, strict=True)}
    return SelectionContext(phase=phase, seed=seed, policy=None, rollouts=rollouts)  # type: ignore[arg-type]


def choose(selector: Selector, budget: int, **kwargs: Any) -> list[int]:
    selection = selector.select(selector.score(POOL, context(**kwargs)), budget)
    places = {p.id: i for i, p in enumerate(POOL)}
    return [places[i] for i in selection.ids]


@pytest.mark.parametrize(("alpha", "pool", "budget"), [
    (0.1, 30, 3), (0.29, 100, 29), (0.1, 39, 3), (1.0, 7, 7), (0.07, 100, 7), (1 / 3, 3, 0),
])
def test_the_budget_is_the_exact_floor(alpha: float, pool: int, budget: int) -> None:
    if budget:
        assert budget_of(alpha, pool) == budget
    else:
        with pytest.raises(ConfigError, match=r"selector\.alpha=0\.333"):
            budget_of(alpha, pool)


def test_an_empty_budget_is_refused_with_the_smallest_share() -> None:
    with pytest.raises(ConfigError, match=r"alpha=0\.01: selects none of 50 prompts.*0\.02"):
        budget_of(0.01, 50)


def test_ties_stand_in_the_order_of_ids_and_undefined_scores_nowhere() -> None:
    scores = Scores(("c", "a", "b", "d"), np.array([1.0, 1.0, 2.0, np.nan]),
                    np.array([True, True, True, False]))
    assert [scores.ids[i] for i in ranked(scores)] == ["b", "a", "c"]


def test_a_nan_cannot_pass_as_a_score() -> None:
    # Pitfall 41: NaN sorts first in topk.
    with pytest.raises(ValueError, match="not finite"):
        Scores(("a",), np.array([np.nan]), np.array([True]))


def test_full_takes_everything() -> None:
    assert sorted(choose(Full(), 6)) == [0, 1, 2, 3, 4, 5]
    assert Full().requires == frozenset()


def test_random_once_stays_and_phase_moves_and_seed_zero_is_a_seed() -> None:
    once, phase = Random(refresh="once"), Random(refresh="phase")
    assert choose(once, 3, phase=0) == choose(once, 3, phase=5) == choose(phase, 3, phase=0)
    draws = {tuple(choose(phase, 3, phase=p)) for p in range(8)}
    assert len(draws) > 4
    # Pitfall 34: `if seed:` leaves seed 0 unseeded.
    assert choose(once, 3, seed=0) == choose(once, 3, seed=0) != choose(once, 3, seed=1)


def test_random_does_not_depend_on_the_pools_order() -> None:
    shuffled = POOL.copy()
    random.Random(1).shuffle(shuffled)
    values = dict(zip([p.id for p in POOL], Random().score(POOL, context()).values, strict=True))
    again = Random().score(shuffled, context())
    assert all(values[i] == v for i, v in zip(again.ids, again.values, strict=True))


def test_random_is_uniform() -> None:
    pool = [Prompt.create(str(i), ["1"], source="t") for i in range(2000)]
    values = Random().score(pool, context()).values
    assert abs(values.mean() - 0.5) < 0.03
    assert abs((values < 0.1).mean() - 0.1) < 0.03


def test_pass_rate_modes_by_hand() -> None:
    assert choose(PassRate(mode="target", target=0.7), 2) == [3, 2]
    assert choose(PassRate(mode="hardest"), 2) == [1, 2]
    assert choose(PassRate(mode="easiest"), 2) == [3, 2]
    assert choose(PassRate(mode="hardest", informative=False), 2) == [0, 1]
    assert choose(PassRate(mode="easiest", informative=False), 2) == [4, 3]
    assert sorted(choose(PassRate(mode="band"), 6)) == [1, 2, 3]
    assert sorted(choose(PassRate(mode="band", low=0.3, high=0.8), 6)) == [2, 3]


def test_pass_rate_band_without_candidates_says_what_to_change() -> None:
    with pytest.raises(CropiError, match=r"widen selector\.low and selector\.high"):
        choose(PassRate(mode="band", low=0.4, high=0.45), 2)
    with pytest.raises(ValueError, match="must be below high"):
        PassRate(low=0.5, high=0.5)


def test_learnability_by_hand() -> None:
    selector = Learnability(form="plain")
    scores = selector.score(POOL, context())
    np.testing.assert_allclose(scores.values[:5], [0, 3 / 16, 1 / 4, 3 / 16, 0])
    assert scores.valid.tolist() == [True] * 5 + [False]
    unbiased = Learnability(form="unbiased").score(POOL, context())
    # k(K-k)/(K(K-1)) with K = 4
    np.testing.assert_allclose(unbiased.values[:5], [0, 3 / 12, 4 / 12, 3 / 12, 0])


def test_unbiased_learnability_is_unbiased() -> None:
    # The mean over all 2^4 outcomes, weighted by their probability, is p(1-p) exactly.
    p, total = 0.3, 0.0
    prompt = POOL[0]
    for outcome in range(16):
        rewards = [float(outcome >> i & 1) for i in range(4)]
        solved = sum(rewards)
        chance = p**solved * (1 - p) ** (4 - solved)
        given = SelectionContext(
            phase=0, seed=0, policy=None, rollouts={prompt.id: group(prompt, rewards)}  # type: ignore[arg-type]
        )
        total += chance * Learnability(form="unbiased").score([prompt], given).values[0]
    assert total == pytest.approx(p * (1 - p))


def test_learnability_follows_training_and_its_state_survives() -> None:
    selector = Learnability(source="training")
    assert choose(selector, 1) == [2]
    selector.observe(1, [group(POOL[2], [1, 1, 1, 1]), group(POOL[0], [1, 0, 1, 0])])
    assert choose(selector, 2)[0] == 0
    again = Learnability(source="training")
    # Pitfall 27: the state goes through JSON, as in a checkpoint.
    again.load_state_dict(json.loads(json.dumps(selector.state_dict())))
    assert choose(again, 5) == choose(selector, 5)
    offline = Learnability(source="offline")
    offline.observe(1, [group(POOL[2], [1, 1, 1, 1])])
    assert choose(offline, 1) == [2]


def test_a_solved_pool_still_gives_a_selection() -> None:
    # Pitfall 28: one-way eviction drains the pool to nothing.
    solved = {p.id: group(p, [1, 1]) for p in POOL}
    given = SelectionContext(phase=0, seed=0, policy=None, rollouts=solved)  # type: ignore[arg-type]
    selector = Learnability()
    assert len(selector.select(selector.score(POOL, given), 3).ids) == 3


def test_a_prompt_without_rollouts_is_undefined_not_zero() -> None:
    given = SelectionContext(phase=0, seed=0, policy=None)  # type: ignore[arg-type]
    assert not Learnability().score(POOL, given).valid.any()
    assert not PassRate().score(POOL, given).valid.any()


@pytest.mark.parametrize("bad", [0.0, 1.5, -0.1, "half", True])
def test_alpha_is_a_share(bad: Any) -> None:
    with pytest.raises(ValueError, match="alpha"):
        Random(alpha=bad)


def formed(prompt: Prompt, right: Sequence[float]) -> Group:
    """Every other completion is paid 0.5 more for its form."""
    return Group(prompt.id, np.array([1], np.int32), tuple(
        Trajectory(np.array([2], np.int32), np.zeros(1, np.float32), "stop", "",
                   Verdict(r + 0.5 * (i % 2), "ok", "t", parts={"correctness": r}))
        for i, r in enumerate(right)
    ))


def test_a_reward_for_form_makes_no_prompt_easier_or_more_learnable() -> None:
    right = [[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
    groups = {p.id: formed(p, r) for p, r in zip(POOL[:3], right, strict=True)}
    given = SelectionContext(phase=0, seed=0, policy=None, rollouts=groups)  # type: ignore[arg-type]
    scores = PassRate(mode="easiest").score(POOL[:3], given)
    assert scores.components["pass_rate"].tolist() == [0.0, 0.25, 1.0]
    assert scores.valid.tolist() == [False, True, False]
    for form in ("plain", "unbiased"):
        selector = Learnability(form=form)  # type: ignore[arg-type]
        offline = selector.score(POOL[:3], given)
        selector.observe(1, list(groups.values()))
        trained = selector.score(POOL[:3], replace(given, rollouts={}))
        assert (offline.values > 0).tolist() == [False, True, False]
        assert trained.values.tolist() == offline.values.tolist()
