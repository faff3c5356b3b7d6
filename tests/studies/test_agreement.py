"""Rank agreement against scipy and by hand; intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from cropi.studies.agreement import average_ranks, interval, precision_at, spearman


def test_ranks_and_correlation_are_scipys_with_ties_too() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        a, b = random.integers(0, 6, 30).astype(float), random.normal(size=30)
        np.testing.assert_allclose(average_ranks(a), rankdata(a))
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))


def test_precision_by_hand() -> None:
    ours = np.array([9.0, 8.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    theirs = np.array([9.0, 0.0, 8.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert precision_at(0.1)(ours, theirs) == 1.0
    assert precision_at(0.2)(ours, theirs) == 0.5
    assert precision_at(0.01)(ours, theirs) == 1.0  # at least one prompt


def test_chance_is_the_share() -> None:
    random = np.random.default_rng(1)
    found = [
        precision_at(0.1)(random.normal(size=200), random.normal(size=200)) for _ in range(400)
    ]
    assert np.mean(found) == pytest.approx(0.1, abs=0.02)


def test_intervals_cover() -> None:
    """A noisy copy of a ranking: the interval of 200 prompts holds the value of 20,000."""
    random = np.random.default_rng(2)

    def pair(n: int) -> tuple[np.ndarray, np.ndarray]:
        truth = random.normal(size=n)
        return truth + random.normal(size=n), truth

    true = spearman(*pair(20_000))
    held = 0
    for _ in range(60):
        ours, theirs = zip(*[pair(200)], strict=True)
        mean, low, high = interval(spearman, ours, theirs, draws=100, random=random)
        assert low <= mean <= high
        held += low <= true <= high
    assert held >= 50  # 95 % of 60 is 57
