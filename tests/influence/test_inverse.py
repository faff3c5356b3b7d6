"""(U Uᵀ + μI)⁻¹ A by both ways, against a dense float64 solution."""

from __future__ import annotations

import logging
import tracemalloc
from typing import Any

import numpy as np
import pytest
from row_cases import ArrayRows, planted, unit

from cropi.influence.inverse import Inverse, inverse_scores
from cropi.influence.rulers import compared, dots_and_norms
from cropi.types import FloatArray


def cosines(rows: np.ndarray, columns: int = 2) -> FloatArray:
    """With the mean of the first rows, of the next ones, …"""
    directions = np.stack([
        rows[5 * m : 5 * m + 5].astype(np.float64).mean(axis=0) for m in range(columns)
    ])
    dots, norms = dots_and_norms(ArrayRows(rows), directions)
    return compared(dots, norms, np.linalg.norm(directions, axis=1), "cosine")


def oracle(rows: np.ndarray, targets: FloatArray, mu: float) -> FloatArray:
    units = unit(rows)
    return np.linalg.solve(units @ units.T + mu * np.eye(len(units)), targets)


def error(found: FloatArray, expected: FloatArray) -> float:
    difference = np.linalg.norm(found - expected, axis=0)
    return float((difference / np.linalg.norm(expected, axis=0)).max())


def test_by_hand() -> None:
    # Two equal rows share their direction: [[2, 1], [1, 2]]⁻¹ [1, 1] = [1/3, 1/3]; a third one
    # at right angles keeps half of its 1.
    rows = ArrayRows(np.array([[2.0, 0.0], [7.0, 0.0], [0.0, 0.1]], np.float32))
    for options in ({}, {"memory_mb": 0}):
        solved = inverse_scores(rows, np.ones(3, dtype=bool), np.ones((3, 1)), mu=1.0, **options)
        np.testing.assert_allclose(solved.values[:, 0], [1 / 3, 1 / 3, 1 / 2], rtol=1e-4)


@pytest.mark.parametrize(
    ("count", "dimension"), [(300, 100), (300, 400), (100, 300), (1, 50), (50, 1)]
)
@pytest.mark.parametrize("mu", [0.1, 1.0, 10.0])
def test_both_ways_are_the_dense_solution(count: int, dimension: int, mu: float) -> None:
    rows = planted(count, dimension, shared=min(8, dimension), share=0.8)
    targets = cosines(rows, columns=1 if count < 6 else 2)
    expected = oracle(rows, targets, mu)

    def solved(**options: Any) -> Inverse:
        everyone = np.ones(count, dtype=bool)
        return inverse_scores(ArrayRows(rows), everyone, targets, mu=mu, **options)

    direct = solved()
    assert direct.iterations == 0
    assert error(direct.values, expected) < 1e-10
    assert direct.residual < 1e-10
    for megabytes in (0, 1):  # without and, where the pool is beyond 1 MB, with a sketch
        found = solved(memory_mb=megabytes)
        assert (found.iterations > 0) == (megabytes == 0 or count > 256)
        assert error(expected, found.values) <= max(found.residual, 1e-12)
        assert found.residual < 1e-4
    exact = solved(memory_mb=0, tolerance=1e-10, max_iterations=1000)
    assert error(exact.values, expected) < 1e-9


def test_the_sketch_saves_iterations() -> None:
    rows = planted(400, 300, shared=30, share=0.95)
    targets = cosines(rows)
    everyone = np.ones(400, dtype=bool)
    with_sketch, without = (
        inverse_scores(ArrayRows(rows), everyone, targets, memory_mb=1, rank=rank)
        for rank in (60, 0)
    )
    assert with_sketch.iterations < 0.6 * without.iterations
    assert error(with_sketch.values, without.values) < 2e-4


def test_equal_rows_and_a_full_sketch() -> None:
    rows = np.repeat(planted(5, 40, shared=2, share=0.5), 60, axis=0)  # of rank 5
    targets = cosines(rows, columns=1)
    found = inverse_scores(ArrayRows(rows), np.ones(300, dtype=bool), targets, memory_mb=1)
    assert error(found.values, oracle(rows, targets, 1.0)) < 1e-4
    assert found.iterations <= 3


@pytest.mark.parametrize("options", [{}, {"memory_mb": 0}])
def test_rows_left_out_are_as_if_absent(options: dict[str, Any]) -> None:
    rows = planted(60, 30, shared=4, share=0.8)
    targets = cosines(rows)
    expected = oracle(rows, targets, 1.0)
    more = np.concatenate([rows, np.zeros((1, 30), np.float32), 3 * rows[:2]])
    wanted = np.concatenate([targets, [[0.7, 0.7]], np.full((2, 2), np.nan)])
    valid = np.array([True] * 61 + [False] * 2)  # row 60 is zero, 61 and 62 are not valid
    found = inverse_scores(ArrayRows(more), valid, wanted, mu=1.0, **options)
    assert error(found.values[:60], expected) < 1e-4
    assert (found.values[60:] == 0).all()


@pytest.mark.parametrize("options", [{}, {"memory_mb": 0}])
def test_a_column_of_zeros_is_solved_by_zeros(options: dict[str, Any]) -> None:
    rows = planted(40, 30, shared=4, share=0.8)
    targets = cosines(rows)
    targets[:, 0] = 0.0
    with np.errstate(all="raise"):
        found = inverse_scores(ArrayRows(rows), np.ones(40, dtype=bool), targets, **options)
    assert (found.values[:, 0] == 0).all()
    assert error(found.values[:, 1:], oracle(rows, targets[:, 1:], 1.0)) < 1e-4


def test_what_is_shared_is_explained_away() -> None:
    # 49 rows lean to the common direction alone and one also to what only the target has: the
    # cosine prefers the crowd, the inverse the one.
    random = np.random.default_rng(0)
    rows = 0.05 * random.standard_normal((50, 20))
    rows[:, 0] += 1.0
    rows[0, 1] += 0.7
    target = np.eye(20)[0] + 0.3 * np.eye(20)[1]
    values = (unit(rows.astype(np.float32)) @ target / np.linalg.norm(target))[:, np.newaxis]
    assert np.argmax(values) != 0
    found = inverse_scores(ArrayRows(rows.astype(np.float32)), np.ones(50, dtype=bool), values)
    assert np.argmax(found.values) == 0


def test_short_of_the_tolerance_it_says_so(caplog: pytest.LogCaptureFixture) -> None:
    rows = planted(200, 100, shared=20, share=0.9)
    targets = cosines(rows)
    with caplog.at_level(logging.WARNING):
        found = inverse_scores(
            ArrayRows(rows), np.ones(200, dtype=bool), targets, memory_mb=0, max_iterations=3
        )
    assert found.iterations == 3
    assert found.residual > 1e-4
    assert error(oracle(rows, targets, 1.0), found.values) <= found.residual
    assert "after 3 iterations" in caplog.text
    assert f"{found.residual:.1g}" in caplog.text


def test_no_pool_by_pool_matrix_beyond_the_memory() -> None:
    count = 1500  # squared: 18 MB
    rows = planted(count, 64, shared=4, share=0.8)
    targets = cosines(rows)
    source = ArrayRows(rows)
    tracemalloc.start()
    found = inverse_scores(source, np.ones(count, dtype=bool), targets, memory_mb=34)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.iterations > 0
    assert peak < 6e6
    assert source.passes == 3 + found.iterations  # norms, Uᵀ A, the sketch
