"""Means, dots, norms, cosines and LearnAlign, against plain loops in float64."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from row_cases import ArrayRows, planted, unit

from cropi.influence.learnalign import learnalign_scores
from cropi.influence.rulers import compared, dots_and_norms, mean_row
from cropi.runtime.errors import CropiError

ROWS = planted(37, 24, shared=3, share=0.7)
DIRECTIONS = planted(3, 24, shared=2, share=0.5, seed=1)


def with_zero_rows(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros((1, rows.shape[1]), np.float32), rows, 0 * rows[:2]])


@pytest.mark.parametrize("max_bytes", [1, 5 * 24 * 4, 10**6])
def test_dots_and_norms(max_bytes: int) -> None:
    dots, norms = dots_and_norms(ArrayRows(ROWS), DIRECTIONS, max_bytes=max_bytes)
    for i, row in enumerate(ROWS.astype(np.float64)):
        assert norms[i] == pytest.approx(sum(x * x for x in row) ** 0.5, rel=1e-13)
        for m, direction in enumerate(DIRECTIONS.astype(np.float64)):
            expected = sum(x * y for x, y in zip(row, direction, strict=True))
            assert dots[i, m] == pytest.approx(expected, rel=1e-11, abs=1e-14)


def test_sums_are_wider_than_the_rows() -> None:
    rows = np.array([[1e8, 1.0, -1e8]], dtype=np.float32)
    dots, _ = dots_and_norms(ArrayRows(rows), np.ones((1, 3)))
    assert dots[0, 0] == 1.0


def test_mean_leaves_zero_rows_out() -> None:
    rows = ArrayRows(with_zero_rows(ROWS))
    np.testing.assert_allclose(mean_row(rows), ROWS.astype(float).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(
        mean_row(rows, normalised=True, max_bytes=300), unit(ROWS).mean(axis=0), atol=1e-7
    )
    assert mean_row(rows).dtype == np.float32
    with pytest.raises(CropiError, match="all of 4 gradients are zero"):
        mean_row(ArrayRows(np.zeros((4, 3), np.float32)))


def test_metrics_by_hand() -> None:
    dots, norms, lengths = np.array([[3.0, -4.0]]), np.array([5.0]), np.array([1.0, 2.0])
    assert compared(dots, norms, lengths, "dot").tolist() == [[3.0, -4.0]]
    np.testing.assert_allclose(compared(dots, norms, lengths, "cosine"), [[0.6, -0.4]])
    np.testing.assert_allclose(compared(dots, norms, lengths, "dot_cosine"), [[1.8, -1.6]])


@pytest.mark.parametrize("metric", ["cosine", "dot", "dot_cosine"])
def test_zero_rows_and_directions_give_zero(metric: str) -> None:  # influence.md bug 28
    rows = ArrayRows(with_zero_rows(ROWS))
    directions = np.concatenate([DIRECTIONS, np.zeros((1, 24))])
    dots, norms = dots_and_norms(rows, directions)
    with np.errstate(all="raise"):
        values = compared(dots, norms, np.linalg.norm(directions, axis=1), metric)  # type: ignore[arg-type]
    assert (values[norms == 0] == 0).all()
    assert (values[:, -1] == 0).all()
    assert np.count_nonzero(norms == 0) == 3


@pytest.mark.parametrize("scale", [1e-4, 1e-25, 1e25])
def test_cosines_do_not_depend_on_the_scale(scale: float) -> None:  # influence.md bug 29
    def cosines(rows: np.ndarray) -> np.ndarray:
        dots, norms = dots_and_norms(ArrayRows(rows), DIRECTIONS)
        return compared(dots, norms, np.linalg.norm(DIRECTIONS.astype(float), axis=1), "cosine")

    np.testing.assert_allclose(
        cosines((ROWS * np.float64(scale)).astype(np.float32)), cosines(ROWS), atol=1e-6
    )


def test_learnalign_is_the_double_sum() -> None:
    learnability = np.linspace(0.0, 0.25, 40)
    rows = ArrayRows(with_zero_rows(ROWS))
    units = np.concatenate([np.zeros((1, 24)), unit(ROWS), np.zeros((2, 24))])
    expected = [
        sum(learnability[i] * learnability[j] * float(units[i] @ units[j]) for j in range(40))
        for i in range(40)
    ]
    scores = learnalign_scores(rows, learnability, max_bytes=7 * 24 * 4)
    np.testing.assert_allclose(scores, expected, rtol=1e-10, atol=1e-15)
    assert rows.passes == 2


def test_memory_is_that_of_a_block() -> None:
    rows = ArrayRows(np.ones((20_000, 256), np.float32))  # 20 MB
    tracemalloc.start()
    dots_and_norms(rows, np.ones((2, 256)), max_bytes=2**18)
    mean_row(rows, max_bytes=2**18)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.5e6
