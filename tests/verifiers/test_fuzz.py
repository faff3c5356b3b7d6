"""Random answers against an oracle of fractions, and damaged ones against what must always hold.

Full size: bench/verifier_fuzz.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import grammar
import pytest
from damage import damaged, fault, swappable
from spelling import written

from cropi.types import Prompt, Verdict
from cropi.verifiers.math import MathVerifier

hypothesis = pytest.importorskip("hypothesis")
randoms = hypothesis.strategies.randoms(use_true_random=False)
often = hypothesis.settings(
    max_examples=300, deadline=None, database=None, derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.fixture(scope="module")
def verifier() -> Iterator[MathVerifier]:
    verifier = MathVerifier(workers=1)
    yield verifier
    verifier.close()


def both_orders(verifier: MathVerifier, left: str, right: str) -> list[Verdict]:
    pairs = [(left, right), (right, left)]
    return verifier.verify_all([
        (rf"so \boxed{{{answer}}}.", Prompt("id", "question", (gold,), "test"))
        for gold, answer in pairs
    ])


@often
@hypothesis.given(random=randoms)
def test_spellings_of_one_answer_are_equal(verifier: MathVerifier, random: Random) -> None:
    tree = grammar.answer(random)
    left, right = written(tree, random), written(tree, random)
    verdicts = both_orders(verifier, left, right)
    assert [v.reward for v in verdicts] == [1.0, 1.0], (left, right, verdicts)


@often
@hypothesis.given(random=randoms)
def test_answers_are_equal_when_their_values_are(verifier: MathVerifier, random: Random) -> None:
    one, other = grammar.answer(random), grammar.answer(random)
    hypothesis.assume(grammar.comparable(one, other))
    left, right = written(one, random), written(other, random)
    verdicts = both_orders(verifier, left, right)
    assert [v.reward for v in verdicts] == [float(one.value == other.value)] * 2, (left, right)


@often
@hypothesis.given(random=randoms)
def test_a_little_more_is_not_equal(verifier: MathVerifier, random: Random) -> None:
    tree = grammar.scalar(random)
    left, right = written(tree, random), written(grammar.nudged(tree, random), random)
    verdicts = both_orders(verifier, left, right)
    assert [v.reward for v in verdicts] == [0.0, 0.0], (left, right, verdicts)


@often
@hypothesis.given(random=randoms)
def test_damage_breaks_nothing(verifier: MathVerifier, random: Random) -> None:
    tree = grammar.answer(random)
    whole = written(tree, random)
    broken = damaged(whole, random)
    for left, right in [(whole, broken), (broken, broken)]:
        verdicts = both_orders(verifier, left, right)
        assert [fault(v) for v in verdicts] == [None, None], (left, right)
        rewards = {v.reward for v in verdicts if v.status == "ok"}
        # An option's letter is asked for by its own rules when it is the gold.
        if tree.kind != "choice" and swappable(left, right):
            assert len(rewards) < 2, (left, right, verdicts)
