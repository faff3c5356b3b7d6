"""Duplicates, conflicts, overlaps and limits, with every row accounted for."""

from __future__ import annotations

from collections import Counter

from cropi.benchmarks.cleaning import keys_of, limited, question_key, unique, without_shared
from cropi.benchmarks.ledger import Ledger, Row, read_rows
from cropi.benchmarks.load_report import describe
from cropi.contracts import Dropped, LoadReport
from cropi.types import Prompt


def row(question: str, *golds: str, origin: str = "train/a") -> Row:
    return Row(origin, Prompt.create(question, golds or ("1",), source="a"))


def questions(rows: list[Row]) -> list[str]:
    return [r.prompt.question for r in rows]


def test_only_white_space_is_ignored() -> None:
    assert question_key("Evaluate $\\log_8 2$. ") == question_key("Evaluate\n$\\log_82$.")
    # methods.md, lesson 1: these are different problems with different answers.
    assert question_key("for k > 0") != question_key("for k < 0")
    assert question_key("y = -sin x") != question_key("y = sin x")


def test_duplicates_keep_the_first() -> None:
    ledger = Ledger()
    rows = [row("a b", "2"), row("c"), row("a  b", " 2.0 ", origin="train/b"), row("ab", "2")]
    assert questions(unique(rows, ledger)) == ["a b", "c"]
    assert ledger.dropped == {"train/b": {"duplicate": 1}, "train/a": {"duplicate": 1}}


def test_conflicting_golds_drop_every_copy_and_are_listed() -> None:
    ledger = Ledger()
    rows = [row("a", "2"), row("b"), row("a", "3", origin="train/b"), row("a", "2")]
    assert questions(unique(rows, ledger)) == ["b"]
    assert ledger.dropped["train/a"]["conflicting golds"] == 2
    assert ledger.dropped["train/b"]["conflicting golds"] == 1
    assert ledger.examples["conflicting golds"] == ["train/a: 'a' has 2 and 3"]


def test_long_numbers_are_compared_exactly() -> None:
    # Rounded to 28 digits, as Decimal.normalize does, these would be the same answer.
    ledger = Ledger()
    rows = [row("a", "1" + "0" * 40), row("a", "1" + "0" * 39 + "1")]
    assert unique(rows, ledger) == []


def test_overlaps_are_counted_for_each_pair_and_dropped_once() -> None:
    ledger = Ledger(read=Counter({"train/a": 4}))
    rows = [row("a"), row("b"), row("c"), row("d")]
    others = {"test/x": {"a", "b"}, "test/y": {"b", "z"}, "test/z": {"z"}}
    assert questions(without_shared("train", rows, others, ledger, drop=True)) == ["c", "d"]
    assert ledger.overlaps == {"train ∩ test/x": 2, "train ∩ test/y": 1, "train ∩ test/z": 0}
    assert ledger.dropped["train/a"] == {"also in test/x": 2}
    assert ledger.report().rows["train/a"] == {"read": 4, "kept": 2, "also in test/x": 2}
    kept = without_shared("train", rows, others, Ledger(), drop=False)
    assert questions(kept) == ["a", "b", "c", "d"]


def test_a_limit_is_the_same_for_any_order_and_grows() -> None:
    rows = [row(str(n)) for n in range(50)]
    small = limited(rows, 10, Ledger())
    assert len(small) == 10
    assert keys_of(small) == keys_of(limited(rows[::-1], 10, Ledger()))
    assert keys_of(small) < keys_of(limited(rows, 20, Ledger()))
    assert questions(small) == [q for q in questions(rows) if q in questions(small)]
    assert limited(rows, None, Ledger()) == limited(rows, 50, Ledger()) == rows
    ledger = Ledger()
    limited(rows, 10, ledger)
    assert ledger.dropped["train/a"]["over the limit"] == 40


def test_what_gave_no_prompt_is_counted() -> None:
    ledger = Ledger()
    items = [Dropped("empty gold", "row 1"), row("a").prompt]
    assert questions(read_rows("train/two", items, ledger)) == ["a"]
    report = ledger.report()
    assert report.rows == {"train/two": {"read": 2, "kept": 1, "empty gold": 1}}
    assert report.examples == {"empty gold": ["train/two: row 1"]}


def test_a_report_reads_as_plain_lines() -> None:
    report = LoadReport(
        rows={"train/a": {"read": 1200, "kept": 1198, "duplicate": 2}, "test/b": {
            "read": 3, "kept": 3}},
        overlaps={"train ∩ test/b": 1, "train ∩ test/c": 0},
        examples={"duplicate": ["train/a: 'x'"]},
    )
    assert describe(report) == [
        "train/a: 1,198 of 1,200 rows (2 duplicate)",
        "test/b: 3 of 3 rows",
        "overlap train ∩ test/b: 1 question",
        "duplicate, for example:",
        "  train/a: 'x'",
    ]
    clean = LoadReport(rows={}, overlaps={"train ∩ test/c": 0})
    assert describe(clean) == ["overlaps between the sets: none"]
