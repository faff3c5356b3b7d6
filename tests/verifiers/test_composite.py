"""Composite rewards and the format verifier."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import yaml
from pydantic import ValidationError

from cropi.catalogue import conf_folder
from cropi.contracts import Verifier
from cropi.runtime.parts import build, options_of
from cropi.types import Prompt, Verdict
from cropi.verifiers.composite import CompositeVerifier
from cropi.verifiers.format import FormatVerifier
from cropi.verifiers.numeric import NumericVerifier

CONF = conf_folder() / "verifier"


def prompt(*golds: str) -> Prompt:
    return Prompt.create("question", golds, source="test")


class Fixed(Verifier):
    """Says the same of everything."""

    def __init__(self, verdict: Verdict, problem: str | None = None) -> None:
        self.verdict, self.problem, self.closed = verdict, problem, False

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        return self.verdict

    def gold_problems(self, prompts: Sequence[Prompt]) -> list[str | None]:
        return [self.problem for _ in prompts]

    def close(self) -> None:
        self.closed = True


def right_and_formed() -> CompositeVerifier:
    return CompositeVerifier(
        parts={"format": FormatVerifier(), "correctness": NumericVerifier()},
        weights={"correctness": 1.0, "format": 0.25},
    )


@pytest.mark.parametrize(("text", "reward", "correctness", "form"), [
    (r"<think>2+3</think>\boxed{5}", 1.25, 1.0, 1.0), (r"\boxed{5}", 1.0, 1.0, 0.0),
    (r"<think>2+3</think>\boxed{6}", 0.25, 0.0, 1.0), ("none", 0.0, 0.0, 0.0),
])
def test_the_reward_is_the_weighted_sum_and_correctness_stays_apart(
    text: str, reward: float, correctness: float, form: float
) -> None:
    verdict = right_and_formed().verify(text, prompt("5"))
    assert verdict.reward == reward
    assert verdict.correctness == correctness
    assert verdict.parts == {"correctness": correctness, "format": form}


def test_status_method_and_text_are_those_of_correctness() -> None:
    formed = right_and_formed()
    text = r"<think>a</think>\boxed{5}"
    own = NumericVerifier().verify(text, prompt("5"))
    verdict = formed.verify(text, prompt("5"))
    assert (verdict.status, verdict.method, verdict.extracted) == (
        own.status, own.method, own.extracted
    )
    assert formed.verify("<think>a</think>none", prompt("5")).status == "no_answer"


def test_what_cannot_be_scored_has_no_reward_at_all() -> None:
    verdict = right_and_formed().verify(r"<think>a</think>\boxed{5}", prompt("see figure"))
    assert (verdict.reward, verdict.correctness, verdict.status) == (None, None, "bad_gold")
    assert verdict.parts == {}
    other = CompositeVerifier(
        parts={"correctness": NumericVerifier(), "own": Fixed(Verdict(None, "bad_gold", "x"))},
        weights={"correctness": 1.0, "own": 1.0},
    )
    assert other.verify("#### 5", prompt("5")).reward is None


def test_milliseconds_add_up_and_weights_may_punish() -> None:
    verifier = CompositeVerifier(
        parts={"correctness": Fixed(Verdict(1.0, "ok", "a", "1", 2.0)),
               "long": Fixed(Verdict(0.5, "ok", "b", "2", 3.0))},
        weights={"correctness": 2.0, "long": -1.0},
    )
    assert verifier.verify("", prompt("1")) == Verdict(
        1.5, "ok", "a", "1", 5.0, {"correctness": 1.0, "long": 0.5}
    )


def test_a_gold_must_suit_every_part_and_all_are_closed() -> None:
    parts = {"correctness": Fixed(Verdict(1.0, "ok", "a")),
             "own": Fixed(Verdict(1.0, "ok", "b"), "not mine")}
    verifier = CompositeVerifier(parts=parts, weights=dict.fromkeys(parts, 1.0))
    assert verifier.gold_problems([prompt("1"), prompt("2")]) == ["not mine"] * 2
    assert right_and_formed().gold_problems([prompt("1"), prompt("x")]) == [None, "not a number"]
    verifier.close()
    assert all(part.closed for part in parts.values())


@pytest.mark.parametrize(("names", "weights", "problem"), [
    (["format"], {"format": 1.0}, "one of the parts must be called correctness"),
    (["correctness", "format"], {"correctness": 1.0}, "weights.format is missing"),
    (["correctness"], {"correctness": 1.0, "corectness": 1.0}, 'did you mean "correctness"'),
    (["correctness"], {"correctness": 0.0}, "must be above 0"),
    (["correctness"], {"correctness": float("inf")}, "finite"),
    ([], {}, "at least 1"),
])
def test_mistakes_are_told(names: list[str], weights: dict[str, float], problem: str) -> None:
    parts: dict[str, Verifier] = {name: FormatVerifier() for name in names}
    with pytest.raises(ValidationError, match=problem):
        CompositeVerifier(parts=parts, weights=weights)


@pytest.mark.parametrize(("text", "fits"), [
    (r"<think>so</think>\boxed{5}", True), ("\n<think>\nso\n</think>\n\nIt is $\\boxed{5}$.", True),
    (r"<think>so</think>\boxed{5}<|im_end|>", True),  # verifier.md number 19
    (r"<think>so</think>\boxed{5}<|im_end|> <|endoftext|>", True),
    (r"<think>\boxed{4}</think>\boxed{5}", True),
    (r"\boxed{5}", False), (r"<think></think>\boxed{5}", False), (r"<think>so</think>5", False),
    (r"<think>so\boxed{5}", False), (r"<think>so</think>\boxed{}", False),
    (r"<think>so</think>\boxed{5", False), (r"<think>so</think>\boxed{4}\boxed{5}", False),
    (r"<think>so</think><think>a</think>\boxed{5}", False), (r"a<think>so</think>\boxed{5}", False),
    (r"</think>so<think>\boxed{5}", False), ("<think>so</think><answer>5</answer>", False),
])
def test_thought_and_box(text: str, fits: bool) -> None:
    assert FormatVerifier().verify(text, prompt("5")) == Verdict(float(fits), "ok", "format")


@pytest.mark.parametrize(("answer", "text", "fits"), [
    ("tag", "<answer>5</answer>", True), ("tag", "<answer>5</answer><|im_end|>", True),
    ("tag", " <answer> \\boxed{5}\n</answer>\n", True), ("tag", "so <answer>5</answer>", False),
    ("tag", "<answer>5</answer> so", False), ("tag", "<answer> </answer>", False),
    ("tag", "<answer>4</answer><answer>5</answer>", False), ("tag", r"\boxed{5}", False),
    ("tag", "</answer>5<answer>", False), ("either", "<answer>5</answer>", True),
    ("either", r"\boxed{5}", True), ("either", "5", False),
])
def test_answer_tags(answer: str, text: str, fits: bool) -> None:
    verifier = FormatVerifier(thinking="none", answer=answer)  # type: ignore[arg-type]
    assert verifier.verify(text, prompt("5")).reward == float(fits)
    opened = FormatVerifier(thinking="end", answer=answer)  # type: ignore[arg-type]
    assert opened.verify(f"so</think>{text}", prompt("5")).reward == float(fits)
    assert opened.verify(f"</think>{text}", prompt("5")).reward == 0.0


@pytest.mark.parametrize(("name", "given"), [
    ("choice", {}), ("format", {}), ("python_function", {"function": "json:dumps"})
])
def test_the_yaml_holds_every_option_with_its_default(name: str, given: dict[str, str]) -> None:
    node = {**yaml.safe_load((CONF / f"{name}.yaml").read_text()), **given}
    plain = type(build(node, Verifier, "verifier"))(**given)  # type: ignore[call-arg]
    assert {k: v for k, v in node.items() if k != "_target_"} == {
        option: getattr(plain, option) for option in options_of(type(plain))
    }


def test_format_of_its_own_completions_and_of_hostile_ones() -> None:
    for thinking in ("tags", "end", "none"):
        for answer in ("boxed", "tag", "either"):
            verifier = FormatVerifier(thinking=thinking, answer=answer)  # type: ignore[arg-type]
            assert verifier.verify(verifier.completion_of("5"), prompt("5")).reward == 1.0
    for text in ["<think>" * 10**5, "<|x|>" * 10**5, "<|" + "x" * 10**6, "\\boxed{" * 10**5]:
        assert FormatVerifier(answer="either").verify(text, prompt("5")).reward == 0.0
