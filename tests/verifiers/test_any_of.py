"""Golds that are lists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cropi.types import Prompt
from cropi.verifiers.any_of import AnyOfVerifier, alternatives
from cropi.verifiers.math import MathVerifier
from cropi.verifiers.numeric import NumericVerifier


def prompt(*golds: str) -> Prompt:
    return Prompt.create("question", golds, source="test")


@pytest.fixture(scope="module")
def verifier() -> Iterator[AnyOfVerifier]:
    verifier = AnyOfVerifier(verifier=MathVerifier())
    yield verifier
    verifier.close()


@pytest.mark.parametrize(("golds", "answer", "reward"), [
    (('["1/2", "0.7"]',), "0.5", 1), (('["1/2", "0.7"]',), "7/10", 1), (('["1/2"]',), "0.7", 0),
    (('[1, 0.10, "x"]',), r"\frac{1}{10}", 1), (("5", '["6", "7"]'), "7", 1), (("5", "6"), "6", 1),
    (("[0,1)",), "[0,1)", 1), (("(1,2]",), "(1,2]", 1), (("1/2",), "0.5", 1),
    # The unusable are ignored while one is usable.
    (('["see figure", "4"]',), "4", 1), (('[null, ["4"], {"a": 1}, "4"]',), "4", 1),
    (('["see figure", "4"]',), "see figure", 0),
    (('["see figure", ""]',), "4", None), (("[]",), "4", None), (('[null]',), "4", None),
])
def test_any_gold_is_right(
    verifier: AnyOfVerifier, golds: tuple[str, ...], answer: str, reward: float | None
) -> None:
    verdict = verifier.verify(rf"\boxed{{{answer}}}", prompt(*golds))
    assert verdict.reward == reward
    assert (verdict.status == "bad_gold") is (reward is None)
    assert (verifier.gold_problem(prompt(*golds)) is None) is (reward is not None)


def test_numbers_stay_as_they_are_written() -> None:
    assert alternatives(("[0.10, 1e400, 12345678901234567890123, \"0.10\"]",)) == (
        "0.10", "1e400", "12345678901234567890123"
    )
    assert alternatives(("[" * 100_000,)) == ("[" * 100_000,)  # no JSON, and no recursion
    assert alternatives(("[" + "9" * 10_000 + "]",)) == ("9" * 10_000,)


def test_the_inner_verifier_is_asked_once_for_all_and_closed() -> None:
    calls: list[str] = []

    class Spy(NumericVerifier):
        def verify_all(self, items: object) -> list:
            calls.append("verify_all")
            return super().verify_all(items)  # type: ignore[arg-type]

        def close(self) -> None:
            calls.append("close")

    verifier = AnyOfVerifier(verifier=Spy())
    items = [(f"#### {i}", prompt('["1", "3"]')) for i in range(4)]
    assert [v.reward for v in verifier.verify_all(items)] == [0, 1, 0, 1]
    verifier.close()
    assert calls == ["verify_all", "close"]


def test_a_gold_verifies_against_itself(verifier: AnyOfVerifier) -> None:
    for gold in ('["1/2", "0.7"]', '["see figure", "4"]', "5"):
        verdict = verifier.verify(verifier.completion_of(gold), prompt(gold))
        assert verdict.reward == 1.0
