"""reasoning_gym's scorers: reference/environment.md section 3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cropi.types import Prompt, Verdict
from cropi.verifiers.gym_scoring import refuse_code
from cropi.verifiers.reasoning_gym import ReasoningGymVerifier

reasoning_gym = pytest.importorskip("reasoning_gym", reason="needs the extra: cropi[gym]")


@pytest.fixture(scope="module")
def verifier() -> Iterator[ReasoningGymVerifier]:
    verifier = ReasoningGymVerifier()
    yield verifier
    verifier.close()


def task(name: str, index: int = 0, **config: Any) -> Prompt:
    items = reasoning_gym.create_dataset(name, size=5, seed=1, **config)
    entry = json.loads(json.dumps(items[index]))
    metadata = {"gym_task": name, "gym_entry": entry}
    return Prompt.create(entry["question"], [str(entry["answer"])], source="gym", metadata=metadata)


def test_right_answers_pay_and_partial_credit_does_not(verifier: ReasoningGymVerifier) -> None:
    fraction = task("fraction_simplification")
    right = fraction.metadata["gym_entry"]["answer"]
    texts = [right, f" {right} ", rf"\boxed{{{right}}}", f"<answer>{right}</answer>",
             f"The answer is {right}", "garbage", ""]
    rewards = [v.reward for v in verifier.verify_all([(text, fraction) for text in texts])]
    assert rewards == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]


def test_end_marks_are_kept_where_the_task_wants_them(verifier: ReasoningGymVerifier) -> None:
    for own, texts, rewards in [("5.", ["5.", "5"], [1, 0]), ("5", ["5.", "5"], [1, 1])]:
        prompt = task("caesar_cipher")
        prompt.metadata["gym_entry"]["answer"] = own
        assert [verifier.verify(text, prompt).reward for text in texts] == rewards


def test_a_scorer_that_raises_is_its_own_status(verifier: ReasoningGymVerifier) -> None:
    verdict = verifier.verify("two times three", task("prime_factorization"))
    assert (verdict.reward, verdict.status) == (0.0, "crashed")


def test_answers_are_never_run_as_code(verifier: ReasoningGymVerifier, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    attacks = [
        f"__import__('pathlib').Path('{mark}').touch()",
        f"open('{mark}', 'w')",
        "[exec(bytes([111,112,101,110,40,39]+list(b'" + str(mark) + "')+[39,44,39,119,39,41]))]",
    ]
    names = ["string_insertion", "spiral_matrix", "binary_matrix", "n_queens", "countdown",
             "puzzle24", "simple_integration", "polynomial_multiplication"]
    items = [(attack, task(name)) for name in names for attack in attacks]
    assert {v.reward for v in verifier.verify_all(items)} == {0.0}
    assert not mark.exists()


def test_disarmed_scorers_still_accept_right_answers(verifier: ReasoningGymVerifier) -> None:
    names = ["string_insertion", "spiral_matrix", "countdown", "simple_integration",
             "polynomial_multiplication", "bitwise_arithmetic", "number_sorting", "chain_sum",
             "prime_factorization", "emoji_mystery", "fraction_simplification"]
    assert [name for name in names if verifier.gold_problem(task(name))] == []


def test_a_scorer_that_pays_nonsense_is_overruled(verifier: ReasoningGymVerifier) -> None:
    halting = next(
        prompt for i in range(5) if (prompt := task("game_of_life_halting", i)).golds == ("False",)
    )
    rewards = [verifier.verify(text, halting).reward for text in ("False", "false", "True", "hm")]
    assert rewards == [1.0, 1.0, 0.0, 0.0]


def test_a_task_without_its_entry_pays_nobody(verifier: ReasoningGymVerifier) -> None:
    bare = Prompt.create("1+1", ["2"], source="gym", metadata={"gym_task": "chain_sum"})
    assert verifier.verify("2", bare) == Verdict(None, "bad_gold", "none")
    assert verifier.gold_problem(bare) is not None
    wrong = task("chain_sum")
    wrong.metadata["gym_entry"]["answer"] = ["not", "text"]
    assert verifier.gold_problem(wrong) is None
    unknown = Prompt.create("q", [], source="gym", metadata={
        "gym_task": "no_such_task", "gym_entry": {"answer": "2"}})
    assert "no_such_task" in str(verifier.gold_problem(unknown))


def test_hanging_scorers_time_out() -> None:
    verifier = ReasoningGymVerifier(cpu_seconds=1.0, workers=1)
    verdicts = verifier.verify_all([("9**9**9**9", task("countdown")), ("1", task("chain_sum"))])
    assert [v.status for v in verdicts] == ["timeout", "ok"]
    verifier.close()


@pytest.mark.parametrize("text", ["x**2/2 + C", "3*sin(x) - 4.5", "(1 + 2)*3", "2*x*y - pi"])
def test_expressions_are_let_through(text: str) -> None:
    refuse_code(text)


@pytest.mark.parametrize("text", [
    "().__class__", "open(1)", "exec(x)", "lambda: 1", "x.diff", "'a'", "[1]", "x;y", "S('1')",
    "chr(95)", "\\x", "eval(x)", "x. real",
])
def test_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="plain expression"):
        refuse_code(text)
