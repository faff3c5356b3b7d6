"""Intervals and tests against scipy, by hand, and by how often they hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cropi.evaluation.estimates import paired_difference
from cropi.reports.paired import difference
from cropi.reports.statistics import holm, iqm, stratified, summary


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


@pytest.mark.parametrize("shape", [(1, 2), (2, 3), (3, 3), (5, 4), (7, 1)])
def test_the_interquartile_mean_is_scipys(shape: tuple[int, int]) -> None:
    tables = np.random.default_rng(0).random((4, *shape))
    for table, found in zip(tables, iqm(tables), strict=True):
        assert found == pytest.approx(stats.trim_mean(table.ravel(), 0.25))


def test_the_stratified_bootstrap_against_a_plain_loop() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal([0.3, 0.5, 0.9], 0.05, (8, 3))
    low, high = stratified(scores, draws=4000)
    other = np.random.default_rng(1)
    values = []
    for _ in range(4000):
        drawn = sorted(
            float(scores[other.integers(8), one]) for one in range(3) for _ in range(8)
        )
        values.append(sum(drawn[6:18]) / 12)
    assert (low, high) == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=0.004)
    assert low < iqm(scores) < high


def test_the_stratified_bootstrap_covers_what_theory_says() -> None:
    # Of a percentile bootstrap of n: as a normal interval with a deviation too small by
    # sqrt((n-1)/n), that is 1.96 * 0.949 against t with 10 sets of 9 degrees: about 0.93.
    generator, sets = np.random.default_rng(5), np.linspace(0.2, 0.8, 10)
    truth = float(np.mean(iqm(generator.normal(sets, 0.05, (20_000, 10, 10)))))
    inside = 0
    for _ in range(400):
        low, high = stratified(generator.normal(sets, 0.05, (10, 10)), draws=400)
        inside += low <= truth <= high
    assert 0.89 < inside / 400 < 0.97


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


def test_one_seed_agrees_with_the_evaluations_own_difference() -> None:
    generator = np.random.default_rng(4)
    ours, theirs = (
        {f"i{n}": float(v) for n, v in enumerate(generator.integers(0, 5, 30) / 4)}
        for _ in range(2)
    )
    found, other = difference({0: ours}, {0: theirs}), paired_difference(ours, theirs)
    assert found is not None
    assert found.high is not None
    assert other.standard_error is not None
    assert (found.mean, found.items) == (pytest.approx(other.mean), other.items)
    half = stats.t.ppf(0.975, 29) * other.standard_error
    assert found.high - found.mean == pytest.approx(half)


def test_sets_count_alike_whatever_their_size() -> None:
    # Set a: +1, +0, +1, +0; set b: +0.5, +0.3. As eval/targeted, the mean over sets: 0.45.
    ours = {0: {"a/1": 1.0, "a/2": 0.0, "a/3": 1.0, "a/4": 0.0, "b/1": 0.5, "b/2": 0.3}}
    theirs = {0: dict.fromkeys(ours[0], 0.0)}
    found = difference(ours, theirs)
    assert found is not None
    assert found.high is not None
    assert found.mean == pytest.approx(0.45)
    of_a, of_b = (1 / 3) / 4 / 4, 0.02 / 2 / 4  # variance of each mean, a quarter of it
    freedom = (of_a + of_b) ** 2 / (of_a**2 / 3 + of_b**2 / 1)
    half = stats.t.ppf(0.975, freedom) * (of_a + of_b) ** 0.5
    assert found.high - found.mean == pytest.approx(half)


def test_seeds_with_items_of_their_own_are_the_sample() -> None:
    # The arithmetic benchmark draws its test sets by seed; no item is lost to an intersection.
    # Only one of ten is shared here.
    ours = {
        s: {f"{s if n else ''}-{n}": float(n < 4 + s) for n in range(10)}
        for s in range(3)
    }
    theirs = {s: dict.fromkeys(items, 0.0) for s, items in ours.items()}
    found = difference(ours, theirs)
    assert found is not None
    assert (found.mean, found.seeds, found.items) == (pytest.approx(0.5), 3, 10)
    low, high = stats.t.interval(0.95, 2, 0.5, stats.sem([0.4, 0.5, 0.6]))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(stats.ttest_1samp([0.4, 0.5, 0.6], 0.0).pvalue)


def test_a_seed_is_an_item_where_there_are_none() -> None:
    ours = {s: {"": v} for s, v in enumerate([0.5, 0.6, 0.8])}
    theirs = {s: {"": v} for s, v in enumerate([0.4, 0.3, 0.7])}
    found = difference(ours, theirs)
    assert found is not None
    assert found.p == pytest.approx(stats.ttest_rel([0.5, 0.6, 0.8], [0.4, 0.3, 0.7]).pvalue)


@pytest.mark.parametrize(
    ("seeds", "spread", "lowest", "highest"),
    [(2, 0.05, 0.99, 1.0), (3, 0.05, 0.92, 0.97), (3, 0.1, 0.92, 0.98),
     (5, 0.1, 0.92, 0.98), (5, 0.0, 0.93, 0.98)],
)
def test_paired_intervals_hold_over_seeds_and_items(
    seeds: int, spread: float, lowest: float, highest: float
) -> None:
    generator, inside, rejected, rounds = np.random.default_rng(3), 0, 0, 600
    for _ in range(rounds):
        noise = (generator.normal(0, spread, (seeds, 1)) + generator.normal(0, 0.2, (1, 60))
                 + generator.normal(0, 0.3, (seeds, 60)))
        ours = {s: {str(i): noise[s, i] for i in range(60)} for s in range(seeds)}
        theirs = {s: {str(i): 0.0 for i in range(60)} for s in range(seeds)}
        found = difference(ours, theirs)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert found.p is not None
        inside += found.low <= 0.0 <= found.high
        rejected += found.p < 0.05
    assert lowest <= inside / rounds <= highest
    assert rejected == rounds - inside


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_holm_rejects_step_by_step() -> None:
    generator = np.random.default_rng(6)
    for _ in range(50):
        p_values = list(generator.random(6) ** 4)
        rejected = set()
        for rank, at in enumerate(sorted(range(6), key=lambda i: p_values[i])):
            if p_values[at] > 0.05 / (6 - rank):
                break
            rejected.add(at)
        assert {at for at, p in enumerate(holm(p_values)) if p <= 0.05} == rejected
