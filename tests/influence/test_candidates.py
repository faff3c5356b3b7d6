"""Which prompts have a gradient, why the others have none, and what a gradient depends on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from influence_cases import EOS, group_of, random_group

from cropi.influence.candidates import Candidates
from cropi.types import Group, Verdict

EQUAL = group_of("equal", [1], [[2, EOS], [3, EOS]], [0.0, 0.0], [[-1.0] * 2] * 2)
UNSCORED = group_of("unscored", [1], [[2, EOS], [3, EOS]], [None, 1.0], [[-1.0] * 2] * 2)
BROKEN = group_of("broken", [1], [[2, EOS], [3]], [1.0, 0.0], [[-1.0, float("nan")], [-1.0]])
ODD_NAN = group_of(  # the trajectory that cannot be scored is not used, nor its numbers
    "odd", [1], [[2, EOS], [3, EOS], [4]], [1.0, 0.0, None], [[-1.0] * 2, [-1.0] * 2, [np.nan]]
)
LIVE = random_group(3)
ALL = [EQUAL, LIVE, UNSCORED, BROKEN, ODD_NAN]


def candidates(groups: list[Group]) -> Candidates:
    by_id = {group.prompt_id: group for group in groups}
    return Candidates.of(["absent", *by_id], by_id)


def test_each_prompt_is_ready_or_left_out_for_a_reason() -> None:
    found = candidates(ALL)
    assert [group.prompt_id for group in found.ready] == [LIVE.prompt_id, "odd"]
    assert found.places.tolist() == [2, 5]
    assert found.size == 6
    assert found.left_out == {
        "no rollouts": 1, "equal rewards": 1, "no scorable reward": 1,
        "log-probabilities not finite": 1,
    }  # fmt: skip
    assert str(found) == (
        "2 of 6 prompts (not 1 equal rewards, 1 log-probabilities not finite, 1 no rollouts, "
        "1 no scorable reward)"
    )
    assert str(candidates([LIVE])) == "1 of 2 prompts (not 1 no rollouts)"


def test_numbers_of_the_candidates_are_spread_over_the_prompts() -> None:
    np.testing.assert_array_equal(
        candidates(ALL).spread([7.0, 8.0]), [np.nan, np.nan, 7.0, np.nan, np.nan, 8.0]
    )
    assert np.isnan(candidates([EQUAL]).spread([])).all()


def test_a_score_that_is_not_valid_is_zero_over_the_prompts() -> None:
    values, valid = candidates(ALL).masked(np.array([7.0, np.nan]), np.array([True, False]))
    assert values.tolist() == [0.0, 0.0, 7.0, 0.0, 0.0, 0.0]
    assert valid.tolist() == [False, False, True, False, False, False]


def test_what_is_left_out_is_counted() -> None:
    metrics = candidates(ALL).metrics()
    assert metrics["masked_share"] == pytest.approx(4 / 6)
    assert metrics["masked_share/equal_rewards"] == pytest.approx(1 / 6)
    # LIVE's last response is its first once more; it has four, the other prompt two.
    assert metrics["repeated_share"] == pytest.approx(1 / 6)
    nothing = Candidates.of([], {})
    assert nothing.metrics() == {"masked_share": 1.0, "repeated_share": 0.0}


def changed(name: str) -> Group:
    """LIVE with one thing different that its gradient depends on."""
    first, second, *others = LIVE.trajectories
    longer = np.append(first.token_ids, np.int32(5))
    if name == "prompt_id":
        return replace(LIVE, prompt_id="other")
    if name == "prompt":
        return replace(LIVE, prompt_token_ids=LIVE.prompt_token_ids[::-1].copy())
    if name == "temperature":
        return replace(LIVE, temperature=0.6)
    other = {
        "token": replace(first, token_ids=(first.token_ids + 1) % 11),
        "longer": replace(first, token_ids=longer, log_probs=np.append(first.log_probs, -1.0)),
        "log_probs": replace(first, log_probs=first.log_probs - np.float32(1e-6)),
        "reward": replace(first, verdict=Verdict(0.5, "ok", "hand")),
        "correctness": replace(
            first, verdict=Verdict(first.reward, "ok", "hand", parts={"correctness": 0.5})
        ),
        "order": first,
    }[name]
    rest = (*others, second) if name == "order" else (second, *others)
    return replace(LIVE, trajectories=(other, *rest))


@pytest.mark.parametrize(
    "name",
    ["prompt_id", "prompt", "temperature", "token", "longer", "log_probs", "reward", "correctness",
     "order"],
)
def test_the_digest_knows_everything_a_gradient_depends_on(name: str) -> None:
    other = changed(name)
    assert candidates([LIVE]).digest() != candidates([other]).digest()
    assert candidates([other]).digest() == candidates([changed(name)]).digest()


def test_the_digest_knows_the_order_and_nothing_of_those_left_out() -> None:
    a, b = random_group(1), random_group(2)
    assert candidates([a, b]).digest() != candidates([b, a]).digest()
    assert candidates([a, b]).digest() == candidates([EQUAL, a, BROKEN, b]).digest()
