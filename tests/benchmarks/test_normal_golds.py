"""One spelling for golds that mean the same, and nothing more than that."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from cropi.benchmarks.files import File
from cropi.benchmarks.normal_golds import answers_in, normal, spaced
from cropi.contracts import Dropped
from cropi.types import Prompt


@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ("025", "25"),  # AIME24 pads with zeros (data matrix)
        ("27.0", "27"),  # AMC23 writes floats
        ("-07", "-7"),
        ("000", "0"),
        ("-0.00", "0"),
        ("10.00", "10"),
        ("007.50", "7.50"),
        ("5.", "5"),
        (r"30^\circ.", r"30^\circ"),
        ("$221,$8$", "221,8"),  # OlympiadBench
        ("$145", "145"),
        (" 72 ", "72"),
        ("1" + "0" * 5000, "1" + "0" * 5000),
    ],
)
def test_one_spelling(gold: str, expected: str) -> None:
    assert normal(gold) == expected


@pytest.mark.parametrize(
    "gold",
    ["0", "72", "0.50", "0.5", "-3.25", ".50", "007b", "1,000.0", "1e3", "1/02", "0x10", "0101_2",
     "$5$", "$a$ and $b$", r"\$5", r"\left\{1\right.", "1, 2, ...", "6 p.m.", "(06, 07)", "٠٢٥",
     "25 00"],
)  # fmt: skip
def test_what_may_mean_something_stays(gold: str) -> None:
    assert normal(gold) == gold


@pytest.mark.parametrize(
    ("gold", "parts"),
    [
        ("1,3,5", ["1", "3", "5"]),
        ("$69$,$84$", ["$69$", "$84$"]),
        ("(1,2), [0,1),(3,4]", ["(1,2)", "[0,1)", "(3,4]"]),
        (r"\{1,2\}", [r"\{1,2\}"]),
        ("1{,}000", ["1{,}000"]),
        ("7", ["7"]),
    ],
)
def test_answers_are_apart_where_no_bracket_holds_them(gold: str, parts: list[str]) -> None:
    assert answers_in(gold) == parts


def test_several_answers_are_no_thousands() -> None:
    assert spaced("5,100") == "5, 100"


@pytest.fixture
def row(tmp_path: Path) -> Any:
    def read(answer: str, several: str = "False", **options: Any) -> Prompt | Dropped:
        with (tmp_path / "one.csv").open("w", newline="") as handle:
            csv.writer(handle).writerows([["question", "answer", "many"], ["q", answer, several]])
        (found,) = File(path=str(tmp_path / "one.csv"), **options).read()
        return found

    return read


def test_what_was_published_is_kept_beside(row: Any) -> None:
    padded = row("025")
    assert (padded.golds, padded.metadata) == (("25",), {"published_golds": ["025"]})
    assert padded.id == row("25").id  # one answer, one id
    assert row("25").metadata == {}
    as_written = row("025", normalise_golds=False)
    assert (as_written.golds, as_written.metadata) == (("025",), {})


def test_alternatives_that_become_one_are_one(row: Any) -> None:
    assert row('["027", "27.0", "3^3"]', gold="any_of").golds == ("27", "3^3")


def test_the_field_says_whether_there_are_several(row: Any) -> None:
    one = row("5,100", multiple_answers="many")
    assert (one.golds, one.metadata) == (("5,100",), {})
    two = row("5,100", "True", multiple_answers="many")
    assert two.golds == ("5, 100",)
    assert two.metadata == {"published_golds": ["5,100"], "answers": 2}


def test_nothing_left_is_an_empty_gold(row: Any) -> None:
    assert row("$").reason == "empty gold"
