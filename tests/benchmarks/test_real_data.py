"""The published files: what is read, what is dropped and why, and what overlaps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cropi.benchmarks.cleaning import keys_of, unique, without_shared
from cropi.benchmarks.composed import Composed
from cropi.benchmarks.files import File
from cropi.benchmarks.grams import words_of
from cropi.benchmarks.ledger import Ledger, Row, read_rows
from cropi.benchmarks.near_overlaps import grams, without_near
from cropi.composition import compose
from cropi.configuration import data_of
from cropi.preparation import loaded
from cropi.runtime.errors import DataError

MAWPS = ["mawps_addsub", "mawps_multiarith", "mawps_singleop"]
FILES: dict[str, dict[str, Any]] = {
    "gsm8k/train": {"path": "gsm8k/train.jsonl", "gold": "gsm8k"},
    "gsm8k/test": {"path": "gsm8k/test.jsonl", "gold": "gsm8k"},
    "math/train": {"path": "math/train.json", "question": "problem", "family": "type"},
    "math500": {"path": "math/math500.jsonl", "question": "problem", "family": "subject"},
    "svamp": {
        "path": "svamp/test.jsonl", "question": "{Body} {Question}", "answer": "Answer",
        "family": "Type",
    },
    **{
        name: {"path": f"mawps/{name}.jsonl", "question": "input", "answer": "target"}
        for name in MAWPS
    },
    "olympiad_bench": {
        "path": "olympiad_bench/test.jsonl", "answer": "final_answer", "gold": "list",
        "multiple_answers": "is_multiple_answer", "family": "subfield",
    },
}


def source(folder: Path, name: str, **changes: Any) -> File:
    options = {**FILES[name], **changes}
    return File(**{**options, "path": str(folder / options["path"])})


def clean(folder: Path, name: str, **changes: Any) -> tuple[Sequence[Row], dict[str, int]]:
    ledger = Ledger()
    rows = unique(read_rows(name, source(folder, name, **changes).read(), ledger), ledger)
    return rows, dict(ledger.report().rows[name])


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("gsm8k/train", {"read": 7473, "kept": 7473}),
        ("gsm8k/test", {"read": 1319, "kept": 1319}),
        # Two null and two empty answers; one exact copy; \log_8 2 twice with \frac13 spelled twice.
        ("math/train", {
            "read": 7474, "kept": 7467, "empty gold": 4, "duplicate": 1, "conflicting golds": 2}),
        ("math500", {"read": 500, "kept": 500}),
        ("svamp", {"read": 1000, "kept": 1000}),
        ("mawps_addsub", {"read": 395, "kept": 395}),
        ("mawps_multiarith", {"read": 600, "kept": 580, "duplicate": 20}),
        ("mawps_singleop", {"read": 562, "kept": 531, "duplicate": 31}),
        ("olympiad_bench", {"read": 675, "kept": 675}),
    ],
)  # fmt: skip
def test_rows_read_and_dropped(real_data: Path, name: str, counts: dict[str, int]) -> None:
    assert clean(real_data, name)[1] == counts


def test_every_gsm8k_gold_is_a_number(real_data: Path) -> None:
    for name in ("gsm8k/train", "gsm8k/test"):
        rows, _ = clean(real_data, name)
        assert all(re.fullmatch(r"-?\d+(\.\d+)?", row.prompt.golds[0]) for row in rows)
    test, _ = clean(real_data, "gsm8k/test")
    # Counted in the data matrix: 2 negative golds, no decimals.
    assert sum(row.prompt.golds[0].startswith("-") for row in test) == 2
    assert not any("." in row.prompt.golds[0] for row in test)


def test_boxed_solutions_give_the_published_answers(real_data: Path) -> None:
    published, _ = clean(real_data, "math500")
    boxed, _ = clean(real_data, "math500", answer="solution", gold="boxed")
    assert [row.prompt.golds for row in boxed] == [row.prompt.golds for row in published]
    golds = [row.prompt.golds[0] for row in published]
    assert sum(re.fullmatch(r"-?\d+", gold) is not None for gold in golds) == 311  # data matrix


def test_lists_of_answers_and_families(real_data: Path) -> None:
    rows, _ = clean(real_data, "olympiad_bench")
    golds = {row.prompt.golds[0] for row in rows}
    assert {"$69$, $84$", "1, 3, 5", "$\\frac{1}{2 n+2}$"} <= golds
    # Data matrix: 94 with several answers, a stray $ and a trailing full stop.
    assert sum("answers" in row.prompt.metadata for row in rows) == 94
    assert {"221, 8", "$(-\\infty, 0) \\cup\\{1\\}$"} <= golds
    assert {row.prompt.family for row in rows} >= {"Algebra", "Combinatorics", "Number Theory"}


def test_a_list_needs_its_format(real_data: Path) -> None:
    with pytest.raises(DataError, match=r"olympiad_bench/test\.jsonl, line 1: .*gold=list"):
        clean(real_data, "olympiad_bench", gold="plain")


def test_floats_and_templates(real_data: Path) -> None:
    rows, _ = clean(real_data, "svamp")
    assert rows[0].prompt.golds == ("145",)
    assert rows[0].prompt.metadata == {"published_golds": ["145.0"]}
    raw, _ = clean(real_data, "svamp", normalise_golds=False)
    assert raw[0].prompt.golds == ("145.0",)
    assert rows[0].prompt.question.endswith("into 93 groups How big is each group of bananas?")


def test_overlaps_between_the_files(real_data: Path) -> None:
    ledger = Ledger()
    for name, tests in {
        "gsm8k/train": ["gsm8k/test", "svamp", *MAWPS],
        "math/train": ["math500", "olympiad_bench"],
        "svamp": MAWPS,
    }.items():
        others = {other: keys_of(clean(real_data, other)[0]) for other in tests}
        without_shared(name, clean(real_data, name)[0], others, ledger, drop=True)
    assert len(ledger.overlaps) == 10
    assert set(ledger.overlaps.values()) == {0}


def test_13_grams_of_math_against_an_exhaustive_search(real_data: Path) -> None:
    train, test = clean(real_data, "math/train")[0], clean(real_data, "math500")[0]
    ledger = Ledger()
    without_near("train", train, {"test": (test, grams(test))}, ledger, drop=False)
    holders: dict[str, set[int]] = {}
    for number, row in enumerate(test):
        for gram in all_grams(row):
            holders.setdefault(gram, set()).add(number)
    found = [set().union(*(holders.get(g, set()) for g in all_grams(row))) for row in train]
    near = ledger.near["train ∩ test"]
    assert near["rows"] == sum(map(bool, found)) == 154
    assert near["of the other"] == len(set().union(*found)) == 49


def all_grams(row: Row) -> list[str]:
    words = words_of(row.prompt.question)
    return [" ".join(words[i : i + 13]) for i in range(len(words) - 12)]


@pytest.mark.slow
def test_every_gold_verifies_against_itself_or_is_listed(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROPI_DATA", str(real_data))
    data = data_of(compose(["benchmark=five_sets"]))
    try:
        prompts = loaded(data.benchmark, data.verifier, data.seed)
    finally:
        data.verifier.close()
    report = prompts.report
    assert {name: counts["loaded"] for name, counts in report.sets.items()} == {
        "train": 15866, "test/svamp": 1000, "test/mawps": 580, "test/gsm8k": 1319,
        "test/math500": 500, "test/olympiad_bench": 675,
    }  # fmt: skip
    for name, counts in report.sets.items():
        listed = [fault for fault in report.faults if fault["set"] == name]
        assert int(counts["loaded"]) - int(counts["kept"]) == len(listed)
        assert len(listed) <= 3
        assert all(fault["golds"] and fault["reason"] for fault in listed)
    for name in ("test/svamp", "test/mawps", "test/gsm8k"):
        assert report.sets[name]["loaded"] == report.sets[name]["kept"]


def test_a_planted_overlap_is_found(real_data: Path, tmp_path: Path) -> None:
    lines = (real_data / "math" / "math500.jsonl").read_text(encoding="utf-8").splitlines()
    leaked = tmp_path / "leaked.jsonl"
    leaked.write_text("\n".join(lines[:6]).replace("  Enter", "\\n Enter"), encoding="utf-8")
    prompts = Composed(
        train={
            "math": source(real_data, "math/train"),
            "leak": File(path=str(leaked), question="problem"),
        },
        tests={"math500": source(real_data, "math500")},
    ).load(0)
    assert prompts.report.overlaps == {"train ∩ test/math500": 6}
    assert prompts.report.rows["train/leak"] == {"read": 6, "kept": 0, "also in test/math500": 6}
    assert len(prompts.pool) == 7467
    assert len(prompts.tests["math500"].prompts) == 500
