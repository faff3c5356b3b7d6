"""Standardised scores, their running average, and the chance of a mixed group."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cropi.influence.averaging import (
    mixed_probability,
    running_average,
    standardised,
    weighed,
)

NAN = np.nan


def test_standardised_over_the_valid() -> None:
    values = np.array([[1.0, 5.0], [3.0, 5.0], [100.0, NAN]])
    found = standardised(values, np.array([True, True, False]))
    np.testing.assert_array_equal(found, [[-1.0, 0.0], [1.0, 0.0], [NAN, NAN]])
    assert np.isnan(standardised(values, np.zeros(3, dtype=bool))).all()


def test_equal_values_are_compared_not_subtracted() -> None:
    # The mean of three 0.1 is not 0.1, so their deviation is not quite 0.
    found = standardised(np.full((3, 1), 0.1), np.ones(3, dtype=bool))
    assert (found == 0.0).all()


def test_running_average_by_hand() -> None:
    now = np.array([[1.0], [2.0], [NAN], [NAN]])
    before = np.array([[-1.0], [NAN], [2.0], [NAN]])
    found = running_average(before, now, 0.7)
    # Both; no past: now; undefined now: the past fades; neither.
    np.testing.assert_allclose(found, [[-0.4], [2.0], [1.4], [NAN]])
    np.testing.assert_array_equal(running_average(None, now, 0.7), now)


def test_weight_zero_is_now() -> None:
    now, before = np.array([[1.0], [NAN]]), np.array([[5.0], [5.0]])
    np.testing.assert_array_equal(running_average(before, now, 0.0), [[1.0], [0.0]])


@pytest.mark.parametrize("p", [0.0, 0.125, 0.5, 1.0])
def test_mixed_probability_counts_groups(p: float) -> None:
    expected = sum(
        np.prod([p if reward else 1 - p for reward in group])
        for group in product([0, 1], repeat=4)
        if 0 < sum(group) < 4
    )
    found = mixed_probability(np.array([p, 0.9]), np.array([True, True]), 4, 0.0)
    assert found[0] == pytest.approx(expected)


def test_pass_rates_are_shrunk_to_the_valid_mean() -> None:
    rates, valid = np.array([1.0, 0.0, 0.5, 0.9, NAN]), np.array([True, True, True, False, True])
    found = mixed_probability(rates, valid, 8, 0.2)
    p = np.array([0.9, 0.1, 0.5, 0.82, 0.5])  # the mean of the known valid ones is 0.5
    np.testing.assert_allclose(found, 1 - p**8 - (1 - p) ** 8)
    assert np.isnan(mixed_probability(np.array([NAN]), np.array([True]), 8, 0.2)).all()


def test_doubt_lowers_good_scores_and_raises_none() -> None:
    values, chance = np.array([[2.0, -2.0], [0.0, 1.0]]), np.array([0.25, 0.5])
    assert weighed(values, chance).tolist() == [[0.5, -2.0], [0.0, 0.5]]
