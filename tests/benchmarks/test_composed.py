"""Benchmarks put together from sources: splits, targets, overlaps, limits and their errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cropi.benchmarks.composed import Composed
from cropi.benchmarks.files import File
from cropi.contracts import Benchmark, Prompts
from cropi.runtime.errors import ConfigError, DataError
from cropi.runtime.parts import build
from cropi.types import Prompt


@pytest.fixture
def source(tmp_path: Path) -> Any:
    """A function from questions to a file source; every answer is 1."""
    made = 0

    def make(*questions: str) -> File:
        nonlocal made
        made += 1
        path = tmp_path / f"{made}.csv"
        path.write_text("question,answer\n" + "".join(f"{q},1\n" for q in questions))
        return File(path=str(path))

    return make


def numbered(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(n)]


def questions(prompts: tuple[Prompt, ...]) -> list[str]:
    return [prompt.question for prompt in prompts]


def row_counts(prompts: Prompts) -> Mapping[str, Mapping[str, int]]:
    rows = prompts.report.rows
    for counts in rows.values():
        reasons = sum(n for why, n in counts.items() if why not in ("read", "kept"))
        assert counts["read"] == counts["kept"] + reasons
    return rows


@pytest.mark.parametrize(
    ("n", "reported"), [(1319, 1055), (385, 308), (40, 32), (30, 24), (510, 408)]
)
def test_the_papers_split_sizes(source: Any, n: int, reported: int) -> None:
    # paper.md, section 2: the reported numbers fit these sizes only.
    loaded = Composed(
        train={"a": source("x")}, tests={"t": source(*numbered("q", n))},
        validation_share=0.2, targeted=["t"],
    ).load(0)
    assert len(loaded.tests["t"].prompts) == reported
    assert len(loaded.validation["t"]) == n - reported
    assert loaded.tests["t"].targeted


def test_a_split_shares_no_row_and_loses_none(source: Any) -> None:
    all_questions = numbered("q", 50)
    tests = {"t": source(*all_questions), "u": source(*numbered("r", 50))}
    benchmark = Composed(
        train={"a": source("x")}, tests=tests, validation_share=0.2, targeted=["t"]
    )
    loaded, again, other = benchmark.load(0), benchmark.load(0), benchmark.load(1)
    validation, reported = loaded.validation["t"], loaded.tests["t"].prompts
    assert not set(questions(validation)) & set(questions(reported))
    assert set(questions(validation)) | set(questions(reported)) == set(all_questions)
    assert again.validation["t"] == validation
    assert set(questions(other.validation["t"])) != set(questions(validation))
    # Set aside though not targeted, and used by nobody.
    assert list(loaded.validation) == ["t"]
    assert len(loaded.tests["u"].prompts) == 40
    assert not loaded.tests["u"].targeted
    assert row_counts(loaded)["test/u"]["set aside for validation"] == 10


def test_a_split_does_not_depend_on_the_order_of_rows(source: Any) -> None:
    def validation(*rows: str) -> set[str]:
        loaded = Composed(
            train={"a": source("x")}, tests={"t": source(*rows)},
            validation_share=0.3, targeted=["t"],
        ).load(0)
        return set(questions(loaded.validation["t"]))

    rows = numbered("q", 30)
    assert validation(*rows) == validation(*reversed(rows))


def test_what_is_targeted_does_not_change_what_is_reported(source: Any) -> None:
    tests = {"t": source(*numbered("q", 30)), "u": source(*numbered("r", 30))}
    train = {"a": source("x")}
    one = Composed(train=train, tests=tests, validation_share=0.2, targeted=["t"]).load(0)
    two = Composed(train=train, tests=tests, validation_share=0.2, targeted=["u"]).load(0)
    for name in tests:
        assert one.tests[name].prompts == two.tests[name].prompts


def test_a_validation_source_leaves_its_test_set_whole(source: Any) -> None:
    loaded = Composed(
        train={"a": source("x")},
        validation={"t": source("v1", "q1"), "guide": source("g1")},
        tests={"t": source(*numbered("q", 10)), "u": source(*numbered("r", 10))},
        validation_share=0.2,
        targeted=["t"],
    ).load(0)
    assert len(loaded.tests["t"].prompts) == 10
    assert len(loaded.tests["u"].prompts) == 8
    # A validation row that is reported too leaves validation, never the test set.
    assert questions(loaded.validation["t"]) == ["v1"]
    assert questions(loaded.validation["guide"]) == ["g1"]
    assert loaded.report.overlaps["validation/t ∩ test/t"] == 1


def overlapping(source: Any, **options: Any) -> Composed:
    return Composed(
        train={"a": source("x", "t 0", "y"), "b": source("v0", "z", "x")},
        validation={"t": source("v0", "v1")},
        tests={"t": source("t0", "t1")},
        targeted=["t"],
        **options,
    )


def test_overlaps_leave_the_pool(source: Any) -> None:
    loaded = overlapping(source).load(0)
    assert questions(loaded.pool) == ["x", "y", "z"]
    assert questions(loaded.validation["t"]) == ["v0", "v1"]
    assert questions(loaded.tests["t"].prompts) == ["t0", "t1"]
    assert loaded.report.overlaps == {
        "train ∩ validation/t": 1, "train ∩ test/t": 1, "validation/t ∩ test/t": 0
    }
    rows = row_counts(loaded)
    assert rows["train/a"] == {"read": 3, "kept": 2, "also in test/t": 1}
    assert rows["train/b"] == {
        "read": 3, "kept": 1, "duplicate": 1, "also in validation/t": 1
    }


def test_overlaps_can_be_kept_or_refused(source: Any) -> None:
    loaded = overlapping(source, overlap="warn").load(0)
    assert questions(loaded.pool) == ["x", "t 0", "y", "v0", "z"]
    assert loaded.report.overlaps["train ∩ test/t"] == 1
    with pytest.raises(DataError, match=r"benchmark\.overlap=drop") as error:
        overlapping(source, overlap="error").load(0)
    assert "overlap train ∩ test/t: 1 question" in str(error.value)
    clean = Composed(train={"a": source("x")}, tests={"t": source("y")}, overlap="error")
    assert questions(clean.load(0).pool) == ["x"]


def test_the_pool_does_not_depend_on_the_split(source: Any) -> None:
    rows = numbered("q", 20)
    benchmark = Composed(
        train={"a": source("x", *rows)}, tests={"t": source(*rows)}, validation_share=0.5
    )
    assert {tuple(questions(benchmark.load(seed).pool)) for seed in range(5)} == {("x",)}


def test_limits_are_for_pool_and_tests(source: Any) -> None:
    loaded = Composed(
        train={"a": source(*numbered("x", 30))}, tests={"t": source(*numbered("q", 30))},
        validation_share=0.5, targeted=["t"], pool_limit=7, test_limit=4,
    ).load(0)
    assert (len(loaded.pool), len(loaded.tests["t"].prompts)) == (7, 4)
    assert len(loaded.validation["t"]) == 15
    assert row_counts(loaded)["test/t"]["over the limit"] == 11


def test_an_empty_set_is_an_error_that_shows_the_account(source: Any) -> None:
    benchmark = Composed(train={"a": source("q0")}, tests={"t": source("q0", "q1")})
    with pytest.raises(DataError, match="nothing is left of train") as error:
        benchmark.load(0)
    assert "train/a: 0 of 1 rows (1 also in test/t)" in str(error.value)


def test_a_mixture_without_sources_says_how_to_add_one(source: Any) -> None:
    with pytest.raises(DataError, match=r"\+source@benchmark\.train\.gsm8k=gsm8k_train"):
        Composed(train={}, tests={}).load(0)
    with pytest.raises(DataError, match=r"\+source@benchmark\.tests\.gsm8k=gsm8k_test"):
        Composed(train={"a": source("x")}, tests={}).load(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targeted": ["u"]}, "targeted names 'u', but the tests are t"),
        ({"targeted": ["t"]}, r"needs validation\.t or a validation_share above 0"),
        ({"validation_share": 1.0}, "validation_share"),
        ({"validation_share": True}, "validation_share"),
        ({"overlap": "ignore"}, "overlap"),
        ({"pool_limit": 0}, "pool_limit"),
    ],
)
def test_mistakes_are_found_before_anything_is_read(
    options: dict[str, Any], message: str
) -> None:
    file = {"_target_": "cropi.benchmarks.files.File", "path": "missing.jsonl"}
    node = {
        "_target_": "cropi.benchmarks.composed.Composed",
        "train": {"a": file}, "tests": {"t": file}, **options,
    }
    with pytest.raises(ConfigError, match=message):
        build(node, Benchmark, "benchmark")


def test_a_validation_set_and_targeted_must_agree() -> None:
    file = File(path="missing.jsonl")
    with pytest.raises(ValueError, match="name it in targeted too"):
        Composed(train={"a": file}, validation={"t": file}, tests={"t": file})
