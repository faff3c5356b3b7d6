"""Hostile answers are refused soon, harm nobody and leave later grades right."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import hostile
import pytest

from cropi.types import Prompt, Verdict
from cropi.verifiers.math import MathVerifier

SECONDS = 10.0  # for one answer on a machine that others use too; bench/verifier_load.py measures
GOLDS = ["41", "x^2+1", "[1,4)", r"\{1,2\}", r"\frac{\pi}{4}"]
STATUSES = {"ok", "no_answer", "unparsed", "timeout", "oversize", "bad_gold", "crashed"}
INPUTS = hostile.inputs()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the workers start too: whatever an answer writes without a path lands here."""
    place, before = tmp_path_factory.mktemp("hostile"), Path.cwd()
    os.chdir(place)
    yield place
    os.chdir(before)


@pytest.fixture(scope="module")
def verifier(folder: Path) -> Iterator[MathVerifier]:
    verifier = MathVerifier()
    check_later_grades(verifier)  # starts a worker
    yield verifier
    verifier.close()


def prompt(gold: str) -> Prompt:
    return Prompt("id", "question", (gold,), "test")  # no hash: it may hold lone surrogates


def check_later_grades(verifier: MathVerifier) -> None:
    """Among them one that was never asked before, so that no memory answers it."""
    check_later_grades.number += 1  # type: ignore[attr-defined]
    new = f"x^{check_later_grades.number}"  # type: ignore[attr-defined]
    for gold, answer, reward in [
        ("41", "41", 1.0), ("41", "42", 0.0), (r"5\sqrt{3}", r"\sqrt{75}", 1.0),
        (f"{new}+x y", f"y x+{new}", 1.0), (f"{new}+x y", f"y x-{new}", 0.0),
        (r"[1,4)", r"1\le x<4", 1.0), (r"\text{Monday}", "Tuesday", 0.0),
    ]:
        assert verifier.verify(rf"\boxed{{{answer}}}", prompt(gold)).reward == reward


check_later_grades.number = 2  # type: ignore[attr-defined]


def graded_in_time(verifier: MathVerifier, text: str, gold: str) -> Verdict:
    began = time.monotonic()
    verdict = verifier.verify(text, prompt(gold))
    seconds = time.monotonic() - began
    assert seconds < SECONDS, f"{seconds:.1f} s for {text[:80]!r}, gold {gold[:80]!r}"
    assert verdict.status in STATUSES
    return verdict


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_hostile_answers_are_never_paid(verifier: MathVerifier, folder: Path, kind: str) -> None:
    for at, answer in enumerate(hostile.KINDS[kind]):
        for gold in ("41", GOLDS[1 + at % 4]):
            assert graded_in_time(verifier, rf"\boxed{{{answer}}}", gold).reward == 0.0
        assert graded_in_time(verifier, answer, "41").reward == 0.0  # without a box
    check_later_grades(verifier)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_hostile_golds_pay_at_most_themselves(
    verifier: MathVerifier, folder: Path, kind: str
) -> None:
    for gold in hostile.KINDS[kind]:
        assert graded_in_time(verifier, r"\boxed{41}", gold).reward in (0.0, None)
        graded_in_time(verifier, rf"\boxed{{{gold}}}", gold)  # 1, or None where it is unusable
        verifier.gold_problem(prompt(gold))
    check_later_grades(verifier)
    assert list(folder.iterdir()) == []


def test_many_at_once_spoil_nothing(verifier: MathVerifier, folder: Path) -> None:
    good = [(r"\boxed{\sqrt{75}}", prompt(r"5\sqrt{3}")), (r"\boxed{x(x+1)}", prompt("x^2+x"))]
    bad = [(rf"\boxed{{{answer}}}", prompt("41")) for _, answer in INPUTS[::3]]
    items = [item for attack in bad for item in (attack, *good)]
    rewards = [verdict.reward for verdict in verifier.verify_all(items)]
    assert rewards == [0.0, 1.0, 1.0] * len(bad)
    assert list(folder.iterdir()) == []


def test_there_are_enough_of_them() -> None:
    assert len({text for _, text in INPUTS}) >= 200
    assert sum(len(text) >= hostile.LONG for _, text in INPUTS) >= 10


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes in /proc")
def test_no_process_is_left(folder: Path) -> None:
    before = children()
    verifier = MathVerifier()
    for answer in (r"\sqrt{75}", "(x+y+z+w)^{300}", "9!!!!!", r"\cos\frac{\pi}{65537}"):
        verifier.verify(rf"\boxed{{{answer}}}", prompt(r"5\sqrt{3}+\sin x"))
    verifier.close()
    assert children() - before == set()


def children() -> set[int]:
    """Processes started by this one, zombies included."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        if int(fields[1]) == os.getpid():
            found.add(int(stat.parent.name))
    return found
