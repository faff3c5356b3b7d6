from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from cropi.evaluation.estimates import (
    item_means,
    paired_difference,
    pass_at_k,
    standard_error,
    wilson_interval,
)

NAN = float("nan")


def test_item_means_leave_unscorable_samples_out() -> None:
    means = item_means(np.array([[1.0, 0.0, NAN, 1.0], [0.0, 0.0, 0.0, 0.0], [NAN] * 4]))
    np.testing.assert_allclose(means[:2], [2 / 3, 0.0])
    assert np.isnan(means[2])


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 2), (5, 2, 3), (6, 0, 4), (6, 5, 2), (3, 3, 3)])
def test_pass_at_k_is_the_mean_over_all_subsets(n: int, c: int, k: int) -> None:
    subsets = list(itertools.combinations([1] * c + [0] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(np.mean([max(s) for s in subsets]))


def test_pass_at_1_is_the_share_and_pass_at_n_whether_any_is_right() -> None:
    assert pass_at_k(8, 3, 1) == pytest.approx(3 / 8)
    assert pass_at_k(8, 3, 8) == 1.0
    assert pass_at_k(8, 0, 8) == 0.0
    assert pass_at_k(10, 3, 5) == pytest.approx(1 - 21 / 252)


def test_too_few_samples_give_no_value_never_1() -> None:  # pitfall 35
    assert pass_at_k(2, 0, 5) is None
    assert pass_at_k(2, 2, 5) is None


def test_pass_at_k_agrees_with_the_hypergeometric_law() -> None:
    for n, c, k in [(32, 7, 8), (200, 3, 100)]:
        expected = 1 - stats.hypergeom.pmf(0, n, c, k)
        assert pass_at_k(n, c, k) == pytest.approx(expected)


def test_standard_error_uses_the_sample_variance() -> None:
    values = [0.0, 1.0, 1.0, 0.5]
    assert standard_error(values) == pytest.approx(stats.sem(values))
    assert standard_error([0.5]) is None


@pytest.mark.parametrize(("right", "items"), [(0, 30), (7, 30), (30, 30), (250, 500)])
def test_wilson_interval_agrees_with_scipy(right: int, items: int) -> None:
    expected = stats.binomtest(right, items).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right, items) == pytest.approx((expected.low, expected.high))


def test_paired_difference_matches_items_by_id() -> None:
    ours = {"a": 1.0, "b": 0.5, "c": 0.0, "only ours": 1.0}
    theirs = {"c": 0.0, "b": 0.0, "a": 0.5, "only theirs": 0.0, "too": 1.0}
    found = paired_difference(ours, theirs)
    # differences 0.5, 0.5, 0: mean 1/3, sample variance 1/12, error sqrt(1/12/3) = 1/6
    assert found.mean == pytest.approx(1 / 3)
    assert found.standard_error == pytest.approx(1 / 6)
    assert (found.items, found.unmatched) == (3, 3)


def test_paired_error_is_below_the_unpaired_one_when_items_differ() -> None:
    rng = np.random.default_rng(0)
    difficulty = rng.random(200)
    a = {str(i): d + 0.05 * rng.standard_normal() for i, d in enumerate(difficulty)}
    b = {str(i): d + 0.05 * rng.standard_normal() for i, d in enumerate(difficulty)}
    paired = paired_difference(a, b)
    unpaired = math.hypot(standard_error([*a.values()]) or 0, standard_error([*b.values()]) or 0)
    assert paired.standard_error is not None
    assert paired.standard_error < unpaired / 3
    t = stats.ttest_rel([*a.values()], [*b.values()]).statistic
    assert paired.mean / paired.standard_error == pytest.approx(t)


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(ValueError, match="no item in common"):
        paired_difference({"a": 1.0}, {"b": 1.0})
