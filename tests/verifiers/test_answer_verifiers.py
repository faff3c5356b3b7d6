"""The numeric, exact and chain verifiers, and what all verifiers share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from cropi.contracts import Verifier
from cropi.runtime.parts import build, options_of
from cropi.types import Prompt
from cropi.verifiers.answers import LONGEST_ANSWER
from cropi.verifiers.chain import ChainVerifier
from cropi.verifiers.exact import ExactVerifier
from cropi.verifiers.numeric import NumericVerifier

CONF = Path(__file__).resolve().parents[2] / "conf" / "verifier"


def prompt(*golds: str) -> Prompt:
    return Prompt.create("question", golds, source="test")


@pytest.mark.parametrize("name", ["chain", "exact", "math", "numeric", "reasoning_gym"])
def test_the_yaml_holds_every_option_with_its_default(name: str) -> None:
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    verifier = build(node, Verifier, "verifier")
    plain = type(verifier)()
    assert {k: v for k, v in node.items() if k != "_target_"} == {
        option: getattr(plain, option) for option in options_of(type(verifier))
    }


@pytest.mark.parametrize(("gold", "text", "reward"), [
    ("18", "so\n#### 18", 1), ("18", "#### 18 dollars", 1), ("18", "#### $18.00", 1),
    ("1250", r"\boxed{\$1{,}250}", 1), ("1,250", "1250", 1), ("0.75", "3/4 of it", 1),
    ("18", "#### 17", 0), ("18", "18 or 17", 0), ("-3", "it is -3.", 1), ("3", "it is -3.", 0),
    ("145.0", "145", 1), ("3.142", "3.141", 0), ("0.333333", "1/3", 0), ("25", "25%", 1),
    ("12345678901234567890", "12345678901234567891", 0), ("9", "#### 16-3-4", 0),
    ("5", "<think>#### 5</think> #### 6", 0),
])
def test_numeric(gold: str, text: str, reward: int) -> None:
    verdict = NumericVerifier().verify(text, prompt(gold))
    assert verdict.reward == reward
    assert isinstance(verdict.reward, float)


def test_numeric_tolerance_is_relative_and_never_for_integers() -> None:
    loose = NumericVerifier(tolerance=0.01)
    assert loose.verify("0.3333", prompt("1/3")).reward == 1.0
    assert loose.verify("0.000003333", prompt("1/3")).reward == 0.0
    assert loose.verify("0.0000031", prompt("0.0000032")).reward == 0.0  # number 14
    assert loose.verify("1000.5", prompt("1000")).reward == 0.0


def test_numeric_extraction_can_be_strict() -> None:
    strict = NumericVerifier(extraction=["hash"])
    assert strict.verify("the answer is 5", prompt("5")).status == "no_answer"
    assert strict.verify("#### 5", prompt("5")).reward == 1.0
    with pytest.raises(ValidationError):
        NumericVerifier(extraction=[])
    with pytest.raises(ValidationError):
        NumericVerifier(extraction=["anywhere"])


def test_percent_policy() -> None:
    sign, hundredth = NumericVerifier(), NumericVerifier(percent="hundredth")
    assert [sign.verify(t, prompt("20%")).reward for t in ("20", "0.2", "20%")] == [1, 0, 1]
    assert [hundredth.verify(t, prompt("20%")).reward for t in ("20", "0.2", "20%")] == [0, 1, 1]


@pytest.mark.parametrize(("text", "status"), [
    ("#### none", "unparsed"), ("no number", "no_answer"), (r"\boxed{1e999999999}", "oversize"),
    (r"\boxed{" + "9" * 10**5 + "}", "oversize"), ("", "no_answer"), ("#### 5", "ok"),
])
def test_statuses(text: str, status: str) -> None:
    verdict = NumericVerifier().verify(text, prompt("4"))
    assert (verdict.reward, verdict.status) == (0.0, status)


@pytest.mark.parametrize("golds", [(), ("",), ("  ",), ("see figure",), ("nan",), ("proof", "")])
def test_no_usable_gold_gives_no_reward_to_anybody(golds: tuple[str, ...]) -> None:
    # Number 6: never 0 and never 1.
    for verifier in (NumericVerifier(), ExactVerifier(), ChainVerifier()):
        for text in ("see figure", "5", ""):
            verdict = verifier.verify(text, prompt(*golds))
            assert (verdict.reward, verdict.status) == (None, "bad_gold")
        assert verifier.gold_problem(prompt(*golds)) is not None


def test_golds_are_alternatives() -> None:
    verifier = NumericVerifier()
    assert verifier.verify("#### 7", prompt("6", "7")).reward == 1.0
    assert verifier.verify("#### 7", prompt("see figure", "7")).reward == 1.0
    assert verifier.gold_problem(prompt("see figure", "7")) is None
    assert verifier.gold_problem(prompt("banana")) == "not a number"


def test_verdicts_keep_the_order_of_the_items() -> None:
    items = [(f"#### {i}", prompt(str(i % 3))) for i in range(30)]
    verdicts = NumericVerifier().verify_all(items)
    assert [v.reward for v in verdicts] == [float(i < 3) for i in range(30)]
    assert [v.extracted for v in verdicts] == [str(i) for i in range(30)]


@pytest.mark.parametrize(("gold", "text", "reward"), [
    ("Thursday", r"\boxed{\text{thursday}}", 1), ("a b", "a  b.", 1), ("0.5", "1/2", 0),
    ("yes", "<answer>Yes</answer>", 1), ("x²", r"\boxed{x^{2}}", 1), ("yes", "no", 0),
])
def test_exact(gold: str, text: str, reward: int) -> None:
    assert ExactVerifier().verify(text, prompt(gold)).reward == reward


def test_exact_can_mind_the_case() -> None:
    assert ExactVerifier(case_sensitive=True).verify("Yes", prompt("yes")).reward == 0.0


@pytest.mark.parametrize(("text", "reward", "status"), [
    ("4217", 1.0, "ok"), ("7", 1.0, "ok"), ("71", 0.0, "ok"), ("", 0.0, "no_answer"),
    ("42 17", 0.0, "no_answer"), ("17\n", 0.0, "no_answer"), ("1=7", 0.0, "no_answer"),
    ("٧", 0.0, "no_answer"), ("-7", 0.0, "no_answer"),
])
def test_chain(text: str, reward: float, status: str) -> None:
    verdict = ChainVerifier().verify(text, prompt("7"))
    assert (verdict.reward, verdict.status) == (reward, status)


def test_chain_golds_are_single_digits() -> None:
    assert ChainVerifier().gold_problem(prompt("7")) is None
    assert ChainVerifier().verify("12", prompt("12")).reward is None


def test_every_gsm8k_and_word_problem_gold_is_a_number_equal_to_itself(real_data: Path) -> None:
    verifier = NumericVerifier()
    rows = [json.loads(line) for line in (real_data / "gsm8k/test.jsonl").open()]
    golds = [row["answer"] for row in rows]  # the worked solutions, gold after ####
    assert len(golds) == 1319
    short = [prompt(text.rpartition("#### ")[2]) for text in golds]
    assert [p.golds for p in short if verifier.gold_problem(p)] == []
    verdicts = verifier.verify_all(list(zip(golds, short, strict=True)))
    assert {v.reward for v in verdicts} == {1.0}
    svamp = [json.loads(line)["Answer"] for line in (real_data / "svamp/test.jsonl").open()]
    assert [g for g in svamp if verifier.gold_problem(prompt(str(g)))] == []


def test_oversized_answers_are_not_even_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = ExactVerifier()
    monkeypatch.setattr(verifier, "compare", None)
    assert verifier.verify("9" * (LONGEST_ANSWER + 1), prompt("9")).status == "oversize"


def test_the_longest_answer_is_a_limit_for_golds_too() -> None:
    long = "9" * (LONGEST_ANSWER + 1)
    assert NumericVerifier().verify(long, prompt(long)).reward is None
