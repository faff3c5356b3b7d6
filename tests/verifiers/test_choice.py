"""Multiple choice letters."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cropi.types import Prompt
from cropi.verifiers.choice import ChoiceVerifier


def prompt(*golds: str) -> Prompt:
    return Prompt.create("question", golds, source="test")


@pytest.mark.parametrize("answer", [
    "C", "(C)", "[C]", "C.", "C:", "C)", r"\textbf{(C)}", r"\text{(C) } 17", r"\text{C}", "C) 17",
    r"\text{(C)}17", "C. 17", "C: the sun", "(C): nothing else", "Option C", "option (C)",
    r"\text{Answer: C}", "**C**", "$C$", r"\mathrm{C}", r"\mathbf{(C)}\ 5",
    "（Ｃ）", " C ", r"\(C\)", "(C) f(x) = 2", "(C) vitamin A", r"\textbf{(C)}~\frac{1}{2}",
])
def test_right(answer: str) -> None:
    verdict = ChoiceVerifier().verify(rf"so \boxed{{{answer}}}", prompt("C"))
    assert (verdict.reward, verdict.status, verdict.method) == (1.0, "ok", "choice")


@pytest.mark.parametrize(("answer", "status"), [
    ("B", "ok"), ("(B) C", "ok"),
    # Not one letter of the alphabet's first ten.
    ("c", "unparsed"), ("(c)", "unparsed"), ("17", "unparsed"), ("CD", "unparsed"),
    ("C or D", "unparsed"), ("(C) or (D)", "unparsed"), ("(C), (D)", "unparsed"),
    ("C, D", "unparsed"), ("(C)(D)", "unparsed"), ("A) 5 C) 17", "unparsed"),
    ("C is right", "unparsed"), ("Cat", "unparsed"), ("A B C D", "unparsed"), ("Z", "unparsed"),
    ("(C", "unparsed"), ("С", "unparsed"), ("x = C", "unparsed"),  # the third is Cyrillic
    ("C" * 9000, "oversize"), ("(" * 5000, "unparsed"), ("", "no_answer"),
])
def test_wrong(answer: str, status: str) -> None:
    verdict = ChoiceVerifier().verify(rf"\boxed{{{answer}}}", prompt("C"))
    assert (verdict.reward, verdict.status) == (0.0, status)


def test_only_marked_answers_count() -> None:
    verifier = ChoiceVerifier()
    assert verifier.verify("The answer is C", prompt("C")).status == "no_answer"
    assert verifier.verify("<answer>C</answer>", prompt("C")).reward == 1.0
    assert ChoiceVerifier(extraction=["stated"]).verify("the answer is C", prompt("C")).reward == 1


def test_golds_are_letters_of_the_range() -> None:
    four = ChoiceVerifier(options=4)
    assert [four.gold_problem(prompt(g)) for g in ("A", "(D)", "D. 12")] == [None] * 3
    for gold in ("E", "d", "12", "AB", "A or B"):
        assert four.gold_problem(prompt(gold)) == "not a letter from A to D"
        assert four.verify(r"\boxed{A}", prompt(gold)).status == "bad_gold"
    assert four.verify(r"\boxed{E}", prompt("D")).status == "unparsed"
    with pytest.raises(ValidationError):
        ChoiceVerifier(options=1)


def test_lower_case_is_an_option() -> None:
    either = ChoiceVerifier(lower_case=True)
    for gold, answer in [("C", "c"), ("c", "(C)"), ("c", "c.")]:
        assert either.verify(rf"\boxed{{{answer}}}", prompt(gold)).reward == 1.0
    assert either.verify(r"\boxed{d}", prompt("C")).reward == 0.0
