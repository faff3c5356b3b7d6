"""Intervals and tests against scipy, by hand, and by how often they hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cropi.reports.statistics import difference, holm, iqm, stratified, summary


def test_a_summary_is_scipys() -> None:
    values = [0.61, 0.58, 0.66, 0.60]
    found = summary(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.deviation == pytest.approx(np.std(values, ddof=1))
    one = summary([0.5])
    assert (one.n, one.deviation, one.low, one.high) == (1, None, None, None)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_covers_what_it_says(n: int) -> None:
    generator = np.random.default_rng(n)
    inside = 0
    for _ in range(2000):
        found = summary(list(generator.normal(0.5, 0.1, n)))
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0.5 <= found.high
    assert 0.935 < inside / 2000 < 0.965


def test_the_interquartile_mean_by_hand() -> None:
    scores = np.array([[0.0, 0.2, 0.4, 1.0], [0.3, 0.1, 0.5, 0.9]])
    # sorted 0 .1 | .2 .3 .4 .5 | .9 1: the middle four
    assert iqm(scores) == pytest.approx(0.35)


def test_the_stratified_bootstrap_against_a_plain_loop() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal([0.3, 0.5, 0.9], 0.05, (8, 3))
    low, high = stratified(scores, draws=4000)
    other = np.random.default_rng(1)
    values = []
    for _ in range(4000):
        drawn = np.column_stack([other.choice(scores[:, s], 8) for s in range(3)]).ravel()
        values.append(stats.trim_mean(drawn, 0.25))
    assert (low, high) == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=0.004)
    assert low < iqm(scores) < high


def test_one_seed_is_the_paired_t_test_over_items() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.random(40), generator.random(40)
    found = difference(
        {0: {f"i{n}": v for n, v in enumerate(a)}}, {0: {f"i{n}": v for n, v in enumerate(b)}}
    )
    assert found is not None
    assert found.p == pytest.approx(stats.ttest_rel(a, b).pvalue)
    low, high = stats.ttest_rel(a, b).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high))


def test_only_shared_seeds_and_items_count() -> None:
    ours = {0: {"a": 1.0, "b": 0.5, "c": 0.0}, 1: {"a": 1.0, "b": 1.0}, 7: {"a": 0.0}}
    theirs = {0: {"a": 0.0, "b": 0.5, "d": 1.0}, 1: {"a": 0.5, "b": 0.5}, 8: {"a": 0.0}}
    found = difference(ours, theirs)
    assert found is not None
    assert (found.seeds, found.items) == (2, 2)
    assert found.mean == pytest.approx((1.0 + 0.0 + 0.5 + 0.5) / 4)
    assert difference({0: {"a": 1.0}}, {1: {"a": 1.0}}) is None
    assert difference({0: {"a": 1.0}}, {0: {"b": 1.0}}) is None
    same = difference({0: {"a": 1.0, "b": 0.5}}, {0: {"a": 1.0, "b": 0.5}})
    assert same is not None
    assert (same.mean, same.p) == (0.0, None)


def test_paired_intervals_hold_over_seeds_and_items() -> None:
    generator = np.random.default_rng(3)
    inside, rejected, rounds = 0, 0, 600
    for _ in range(rounds):
        noise = (generator.normal(0, 0.05, (5, 1)) + generator.normal(0, 0.2, (1, 60))
                 + generator.normal(0, 0.3, (5, 60)))
        ours = {s: {str(i): noise[s, i] for i in range(60)} for s in range(5)}
        theirs = {s: {str(i): 0.0 for i in range(60)} for s in range(5)}
        found = difference(ours, theirs)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert found.p is not None
        inside += found.low <= 0.0 <= found.high
        rejected += found.p < 0.05
    assert inside / rounds > 0.93  # a little wide: the freedom is the smaller sample's
    assert rejected / rounds < 0.07


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
