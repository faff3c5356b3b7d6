"""Newer trajectories than β's: each with its own policy's probabilities, and by a fair lot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from influence_cases import autograd_gradient, group_of, random_group
from influence_pools import (
    GROUPS,
    KNOWN,
    LIVE,
    POLICY,
    POOL,
    PROMPTS,
    SETS,
    WIDE,
    Draws,
    context,
    cropi,
    exact_cosines,
    named,
    pool_of,
    prompt,
)

from cropi.contracts import SelectionContext
from cropi.influence.estimator import Estimator
from cropi.runtime.errors import ConfigError, CropiError
from cropi.selectors.freshness import drawn_share, fresh_groups, joined, with_training
from cropi.types import Group, Prompt

OLD = LIVE[0]
# The same prompt, drawn by another policy: other responses, other probabilities.
NEW = replace(
    named(random_group(9), OLD.prompt_id), prompt_token_ids=OLD.prompt_token_ids
)


@pytest.mark.parametrize("reuse", ["latest", "merged"])
@pytest.mark.parametrize("ratio", ["token", "sequence"])
def test_coefficients_use_each_trajectorys_own_behaviour(reuse: str, ratio: str) -> None:
    """The gradient is autograd's of the ratios to whichever policy drew the trajectory."""
    both = replace(OLD, trajectories=(*OLD.trajectories, *NEW.trajectories))
    used = NEW if reuse == "latest" else both

    def objective(
        now: torch.Tensor, behaviour: torch.Tensor, mask: torch.Tensor, rewards: np.ndarray
    ) -> torch.Tensor:
        advantages = torch.from_numpy((rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4))
        log_ratio = (now - behaviour) * mask
        if ratio == "sequence":
            weight = torch.exp(log_ratio.sum(dim=1, keepdim=True)).detach() * now
        else:
            weight = torch.exp(log_ratio)
        return (advantages * (weight * mask).sum(dim=1) / mask.sum(dim=1)).mean()

    (target,) = SETS["B"]
    one, other = (autograd_gradient(WIDE, group, objective) for group in (used, target))
    expected = float(one @ other / (one.norm() * other.norm()))
    selector = cropi(reuse=reuse, estimator=Estimator(ratio=ratio))
    scores = selector.score(
        POOL, context(GROUPS, {"B": [target]}, phase=1, training={OLD.prompt_id: NEW})
    )
    assert scores.components["influence/B"][0] == pytest.approx(expected, abs=1e-4)
    untouched = cropi(estimator=Estimator(ratio=ratio)).score(
        POOL, context(GROUPS, {"B": [target]}, phase=1, training={OLD.prompt_id: NEW})
    )
    assert untouched.components["influence/B"][0] != pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(
        scores.components["influence/B"][1:], untouched.components["influence/B"][1:], atol=1e-5
    )
    rate = used.rewards.mean()
    assert scores.components["pass_rate_stored"][0] == pytest.approx(rate)


def test_a_prompt_that_was_never_rolled_out_offline_may_still_be_trained() -> None:
    for reuse in ("latest", "merged"):
        found = with_training({}, {OLD.prompt_id: NEW}, reuse)  # type: ignore[arg-type]
        assert found == {OLD.prompt_id: NEW}


def test_what_is_stored_is_not_changed() -> None:
    stored = {OLD.prompt_id: OLD}
    with_training(stored, {OLD.prompt_id: NEW, "more": NEW}, "merged")
    assert stored == {OLD.prompt_id: OLD}
    assert len(OLD.trajectories) == 4


def test_trajectories_at_two_temperatures_cannot_be_one_group() -> None:
    with pytest.raises(ConfigError) as caught:
        joined(OLD, replace(NEW, temperature=0.6))
    for words in (
        "selector.reuse=merged", "temperature 0.6", "are at 1.0", "offline.sampling.temperature",
        "trainer.sampling.temperature", "selector.reuse=latest",
    ):  # fmt: skip
        assert words in str(caught.value)
    # Instead of the stored ones they are a group of their own temperature.
    warm = with_training(GROUPS, {OLD.prompt_id: replace(NEW, temperature=0.6)}, "latest")
    pool, _ = pool_of(LIVE)
    scores = cropi().score(pool, context(warm, SETS))
    expected = exact_cosines([warm[p.id] for p in pool], SETS)
    np.testing.assert_allclose(scores.components["influence/A"], expected[:, 0], atol=1e-4)


# ── by lot ───────────────────────────────────────────────────────────────────────────────────


def lot(pool: Sequence[Prompt], share: float, seed: int = 0, phase: int = 1) -> list[str]:
    at = SelectionContext(phase=phase, seed=seed, policy=POLICY)
    return [p.id for p in drawn_share(pool, share, at)]


def test_the_lot_is_exact_the_pools_order_is_kept_and_only_seed_and_phase_matter() -> None:
    pool = [prompt(f"p{i}") for i in range(40)]
    for share, count in ((0.25, 10), (0.1, 4), (0.99, 40), (1.0, 40), (0.06, 2), (0.001, 1)):
        drawn = lot(pool, share)
        assert len(drawn) == len(set(drawn)) == count
        assert drawn == sorted(drawn, key=lambda name: int(name[1:]))
    assert lot(pool, 0.25) == lot(pool, 0.25)
    assert lot(pool[::-1], 0.25) == lot(pool, 0.25)[::-1]
    draws = {
        (seed, phase): tuple(lot(pool, 0.25, seed, phase)) for seed in (0, 1) for phase in (0, 1)
    }
    assert len(set(draws.values())) == 4
    # A larger share has all of a smaller one.
    assert set(lot(pool, 0.25)) < set(lot(pool, 0.5))


def test_over_the_phases_everybody_gets_a_turn() -> None:
    pool = [prompt(f"p{i}") for i in range(40)]
    turns = np.zeros(40)
    for phase in range(400):
        drawn = set(lot(pool, 0.25, phase=phase))
        turns += [p.id in drawn for p in pool]
    assert turns.mean() == 100
    assert np.abs(turns - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)


# ── in a phase ───────────────────────────────────────────────────────────────────────────────


def test_fresh_comes_before_training_and_training_before_stored() -> None:
    fresh = group_of("x", OLD.prompt_token_ids.tolist(), [[1], [2]], [1.0, 0.0], [[-1.0], [-2.0]])
    draws = Draws({p.id: named(fresh, p.id) for p in POOL})
    training = {p.id: NEW if p.id == OLD.prompt_id else named(NEW, p.id) for p in POOL}
    more = {"fresh": draws, "training": training, "phase": 1}
    groups, validation = cropi(reuse="latest", refresh_share=0.5).sources(
        POOL, context(GROUPS, SETS, **more)
    )
    ((name, drawn),) = draws.asked
    assert name == "train"
    assert len(drawn) == 4
    for p in POOL:
        wanted: Group = draws.known[p.id] if p.id in drawn else training[p.id]
        assert groups[p.id] is wanted
    assert validation is SETS
    first, _ = cropi(reuse="latest", refresh_share=0.5).sources(
        POOL, context(GROUPS, SETS, **{**more, "phase": 0})
    )
    assert first == training
    assert len(draws.asked) == 1


def test_fresh_validation_alone() -> None:
    draws = Draws()
    selector = cropi(fresh_validation=True)
    more = {"fresh": draws, "validation_prompts": PROMPTS}
    for phase, asked in ((0, []), (1, ["validation/A", "validation/B"])):
        groups, validation = selector.sources(
            POOL, context(GROUPS, {"A": []}, **more, phase=phase)
        )
        assert groups == GROUPS
        assert [name for name, _ in draws.asked] == asked
    assert validation == {
        name: [KNOWN[p.id] for p in own] for name, own in PROMPTS.items()
    }  # fmt: skip


def test_nothing_to_draw_from_is_an_error() -> None:
    with pytest.raises(CropiError, match="fresh rollouts of train were asked for"):
        fresh_groups(SelectionContext(phase=1, seed=0, policy=POLICY), "train", POOL)
