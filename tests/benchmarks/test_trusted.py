"""Golds must verify against themselves; what does not is dropped and listed in full."""

from __future__ import annotations

import pytest

from cropi.benchmarks.assembly import Rules, assemble
from cropi.benchmarks.load_report import as_json, describe, digest
from cropi.benchmarks.trusted import gold_problems, trusted
from cropi.contracts import Dropped, Prompts, Verifier
from cropi.runtime.errors import DataError
from cropi.types import Prompt, Verdict


class Deaf(Verifier):
    """Reads what is in a box; pays "odd" golds never, and refuses those that are words."""

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        answer = text.removeprefix(r"\boxed{").removesuffix("}")
        right = answer in prompt.golds and not answer.startswith("odd")
        return Verdict(float(right), "ok", "test", answer)

    def gold_problem(self, prompt: Prompt) -> str | None:
        return "a word" if prompt.golds == ("seven",) else None


class Halved(Deaf):
    """Pays half for the format: correctness is what a gold must have."""

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        given = super().verify(text, prompt)
        assert given.reward is not None
        return Verdict(given.reward / 2, "ok", "test", parts={"correctness": given.reward})


def prompt(question: str, *golds: str) -> Prompt:
    return Prompt.create(question, golds or ("1",), source="s/x")


def loaded(*pool: Prompt | Dropped, tests: tuple[str, ...] = ("t0", "t1")) -> Prompts:
    return assemble(
        train={"a": pool}, validation={}, tests={"t": [prompt(q) for q in tests]},
        rules=Rules(targeted=[]), seed=0,
    )  # fmt: skip


def test_each_gold_is_tried_on_itself() -> None:
    asked = [
        prompt("a", "2"), prompt("b", "odd 3"), prompt("c", "seven"), prompt("d", "odd", "4"),
        Prompt.create("no gold", [], source="s"),
    ]  # fmt: skip
    expected = [None, "does not verify against itself", "a word", None, None]
    assert gold_problems(asked, Deaf()) == gold_problems(asked, Halved()) == expected
    assert gold_problems([], Deaf()) == []


def test_bad_rows_are_dropped_and_listed_whole() -> None:
    bad, word = prompt("b " * 100, "odd"), prompt("c", "seven")
    found = trusted(
        loaded(prompt("a"), bad, word, Dropped("empty gold", "row 9"),
               prompt("x", "1"), prompt("x", "2")),
        Deaf(),
    )
    assert [p.question for p in found.pool] == ["a"]
    assert len(found.tests["t"].prompts) == 2
    report = found.report
    train = dict(report.sets["train"])
    assert len(str(train.pop("ids"))) == 16
    assert train == {
        "loaded": 3, "kept": 1, "unusable gold: a word": 1,
        "unusable gold: does not verify against itself": 1,
    }
    assert [f["reason"] for f in report.faults] == [
        "empty gold", "conflicting golds", "conflicting golds",
        "unusable gold: does not verify against itself", "unusable gold: a word",
    ]
    listed = report.faults[3]
    assert (listed["set"], listed["id"], listed["source"], listed["golds"]) == (
        "train", bad.id, "s/x", ["odd"]
    )
    assert listed["question"].startswith("b b b")
    assert len(listed["question"]) == 120
    lines = describe(report)
    assert "train: dropped 1 (unusable gold: a word), for example:" in lines
    assert f"  {word.id} s/x: 'c' has ['seven']" in lines


def test_a_set_without_usable_golds_is_an_error() -> None:
    with pytest.raises(DataError, match=r"train: none of the 1 prompts has a gold that Deaf can"):
        trusted(loaded(prompt("a", "seven")), Deaf())


def test_the_hash_knows_what_was_found() -> None:
    report = trusted(loaded(prompt("a")), Deaf()).report
    assert digest(report) == digest(trusted(loaded(prompt("a")), Deaf()).report)
    assert digest(report) != digest(trusted(loaded(prompt("a"), prompt("b")), Deaf()).report)
    assert digest(report) != digest(trusted(loaded(prompt("a", "2")), Deaf()).report)
    assert len(digest(report)) == 16
    assert as_json(report)["overlaps"] == {"train ∩ test/t": 0}
