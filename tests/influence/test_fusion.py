"""Ranks and fused scores, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cropi.influence.fusion import fuse, ranks, reciprocal_ranks

IDS = ["d", "c", "b", "a"]
VALUES = np.array([[0.9, 0.1], [0.5, 0.3], [0.7, 0.2], [9.0, 9.0]])
VALID = np.array([True, True, True, False])


def test_ranks_count_the_valid_from_one() -> None:
    np.testing.assert_array_equal(
        ranks(VALUES, VALID, IDS), [[1, 3], [3, 1], [2, 2], [np.nan, np.nan]]
    )


def test_ties_stand_in_the_order_of_ids() -> None:
    values = np.array([[0.0], [1.0], [-0.0], [1.0]])
    assert ranks(values, np.ones(4, dtype=bool), IDS)[:, 0].tolist() == [4, 2, 3, 1]


def test_reciprocal_ranks_of_the_release() -> None:
    fused = fuse(VALUES, VALID, IDS, "rrf")
    np.testing.assert_allclose(fused, [1 + 1 / 3, 1 / 3 + 1, 1 / 2 + 1 / 2, np.nan])
    # Outside a list's top 2 a prompt gets nothing from it.
    fused = fuse(VALUES, VALID, IDS, "rrf", top=2)
    np.testing.assert_allclose(fused, [1.0, 1.0, 1.0, np.nan])
    assert fuse(VALUES[:3], VALID[:3], IDS[:3], "rrf", top=1).tolist() == [1.0, 1.0, 0.0]


def test_the_usual_constant() -> None:
    places = np.array([[1.0, 4.0], [2.0, 2.0]])
    np.testing.assert_allclose(
        reciprocal_ranks(places, 60.0, None), [1 / 61 + 1 / 64, 1 / 62 + 1 / 62]
    )
    # With 60 an even prompt beats the extremes; with 0 the extreme wins.
    extreme, even = reciprocal_ranks(np.array([[1.0, 9.0], [4.0, 4.0]]), 60.0, None)
    assert even > extreme
    extreme, even = reciprocal_ranks(np.array([[1.0, 9.0], [4.0, 4.0]]), 0.0, None)
    assert extreme > even


def test_mean_is_of_standardised_scores() -> None:
    z = (VALUES[:3] - VALUES[:3].mean(axis=0)) / VALUES[:3].std(axis=0)
    np.testing.assert_allclose(fuse(VALUES, VALID, IDS, "mean"), [*z.mean(axis=1), np.nan])


def test_max_is_the_best_set() -> None:
    np.testing.assert_array_equal(fuse(VALUES, VALID, IDS, "max"), [0.9, 0.5, 0.7, np.nan])


@pytest.mark.parametrize("fusion", ["rrf", "mean", "max"])
def test_one_set_keeps_its_order_and_the_undefined_stay_so(fusion: str) -> None:
    values = np.array([[0.3], [np.nan], [0.1], [0.2]])
    fused = fuse(values, ~np.isnan(values[:, 0]), IDS, fusion)  # type: ignore[arg-type]
    assert np.isnan(fused).tolist() == [False, True, False, False]
    assert np.argsort(-fused).tolist()[:3] == [0, 3, 2]


def test_a_valid_value_is_finite() -> None:
    with pytest.raises(ValueError, match="not finite"):
        ranks(np.array([[np.nan], [1.0]]), np.ones(2, dtype=bool), ["a", "b"])


def test_many_prompts_by_exhaustive_counting() -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 20, size=(200, 3)).astype(float)
    valid = random.random(200) < 0.8
    ids = [f"{number:x}" for number in random.permutation(200)]
    found = ranks(values, valid, ids)
    for i in np.flatnonzero(valid):
        for m in range(3):
            better = sum(
                (-values[j, m], ids[j]) < (-values[i, m], ids[i]) for j in np.flatnonzero(valid)
            )
            assert found[i, m] == better + 1
