"""Group advantages against numbers worked out by hand and a loop."""

from __future__ import annotations

import numpy as np
import pytest

from cropi.advantages import group_advantages, varied_groups

NAN = float("nan")


def test_pinned_numbers() -> None:
    # mean 1/4, deviations 3/4 and -1/4, std (ddof 1) 1/2.
    expected = np.array([[0.75, -0.25, -0.25, -0.25]])
    assert np.allclose(group_advantages([[1, 0, 0, 0]], "none"), expected, atol=0)
    assert np.allclose(group_advantages([[1, 0, 0, 0]]), expected / 0.5001, rtol=1e-15)


def test_against_a_loop_with_missing_rewards() -> None:
    random = np.random.default_rng(0)
    rewards = random.normal(size=(20, 6))
    rewards[random.random(rewards.shape) < 0.3] = NAN
    result = group_advantages(rewards)
    for row, advantages in zip(rewards, result, strict=True):
        scored = [r for r in row if r == r]
        for reward, advantage in zip(row, advantages, strict=True):
            if reward != reward or len(scored) < 2:
                assert advantage == 0.0
            else:
                std = np.std(scored, ddof=1)
                assert advantage == pytest.approx((reward - np.mean(scored)) / (std + 1e-4))


@pytest.mark.parametrize("scale", ["std", "none"])
def test_constant_groups_are_exactly_zero(scale: str) -> None:
    # Pitfall 1: rewards of any size and count, also those whose mean is not the reward.
    for value in np.arange(1, 100) / 100:
        for size in range(1, 17):
            for constant in (float(value), float(np.float32(value))):
                assert not group_advantages([[constant] * size], scale).any()


def test_rewards_that_differ_in_the_eighth_bit_keep_their_baseline() -> None:
    # Pitfall 2: in bfloat16 the advantages would be [0, 0, 0, 2/256].
    advantages = group_advantages([[1, 1, 1, 1 + 1 / 128]], "none")
    assert np.array_equal(advantages * 128, [[-0.25, -0.25, -0.25, 0.75]])


@pytest.mark.parametrize("rewards", [[1.0], [1.0, NAN], [NAN, NAN]])
def test_a_group_of_one_has_no_advantage(rewards: list[float]) -> None:
    # Pitfall 3.
    assert np.array_equal(group_advantages([rewards]), np.zeros((1, len(rewards))))


def test_a_row_without_reward_is_not_in_the_baseline() -> None:
    # Pitfall 4: with the missing reward counted as 0 the mean would be 1/3.
    assert np.array_equal(group_advantages([[1, NAN, 0]], "none"), [[0.5, 0, -0.5]])


def test_the_baseline_is_the_group_not_the_batch() -> None:
    # Pitfalls 12 and 13: groups [1, 1] and [0, 0], be they of one prompt or of two.
    assert not group_advantages([[1, 1], [0, 0]]).any()


def test_varied_groups() -> None:
    rewards = [[1, 1, NAN], [0, 1, NAN], [NAN, NAN, NAN], [0.35, 0.35, 0.35]]
    assert varied_groups(rewards).tolist() == [False, True, False, False]


def test_leaving_one_out_compares_with_the_others() -> None:
    # RLOO by hand; a reward that is not there is nobody's baseline, a group of one gets nothing.
    found = group_advantages([[1, 0, 0.5, NAN]], "none", "leave_one_out")
    assert np.allclose(found, [[1 - 0.25, 0 - 0.75, 0.5 - 0.5, 0]], atol=1e-15)
    assert not group_advantages([[1]], "none", "leave_one_out").any()  # pitfall 3
    assert not group_advantages([[0.35] * 7], "none", "leave_one_out").any()  # pitfall 1
