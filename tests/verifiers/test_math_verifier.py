"""Mathematical equality. Numbers are those of reference/verifier.md section 2."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from cropi.types import Prompt, Verdict
from cropi.verifiers.conventions import Conventions
from cropi.verifiers.math import MathVerifier

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases.jsonl").open()]

# Where the shared table's verdict is a policy and ours is the other one.
OUR_POLICY = {
    "percent-vs-decimal": 0,  # the percent sign is a unit: 35% is 35
    "markdown-bold": 0,  # no box, no reward
}


def prompt(*golds: str) -> Prompt:
    return Prompt.create("question", golds, source="test")


@pytest.fixture(scope="module")
def verifier() -> Iterator[MathVerifier]:
    verifier = MathVerifier(cpu_seconds=10.0)
    yield verifier
    verifier.close()


def test_own_cases_in_both_orders(verifier: MathVerifier) -> None:
    there = [(rf"so \boxed{{{c['answer']}}}", prompt(c["gold"])) for c in CASES]
    back = [
        (rf"\boxed{{{c['gold']}}}", prompt(c["answer"])) for c in CASES if not c.get("one_way")
    ]
    expected = [float(c["equal"]) for c in CASES]
    expected += [float(c["equal"]) for c in CASES if not c.get("one_way")]
    verdicts = verifier.verify_all(there + back)
    wrong = [
        (p.golds[0], v.extracted, v) for (_, p), v, e in
        zip(there + back, verdicts, expected, strict=True) if v.reward != e
    ]
    assert wrong == []
    assert {v.status for v in verdicts} <= {"ok", "oversize", "unparsed"}


def test_shared_case_table(verifier: MathVerifier, real_data: Path) -> None:
    table = real_data.parent / "reference" / "verifier_cases.jsonl"
    if not table.is_file():
        pytest.skip(f"the shared case table is not at {table}")
    rows = [json.loads(line) for line in table.open()]
    verdicts = verifier.verify_all([(r["prediction"], prompt(r["gold"])) for r in rows])
    # A row that cannot be scored is refused: None stands for 0 here.
    found = {r["id"]: int(v.reward or 0) for r, v in zip(rows, verdicts, strict=True)}
    assert {r["id"] for r in rows if r["policy"]} >= set(OUR_POLICY)
    assert len(found) >= 81
    assert found == {r["id"]: OUR_POLICY.get(r["id"], r["expected"]) for r in rows}


def test_verdicts_do_not_depend_on_the_thread(verifier: MathVerifier) -> None:
    # Number 2.
    items = [(r"\boxed{\sqrt{75}}", prompt(r"5\sqrt{3}")), (r"\boxed{5}", prompt("5"))]
    found: list[list[float | None]] = []

    def ask() -> None:
        found.append([v.reward for v in verifier.verify_all(items)])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[1.0, 1.0]] * 4


def test_enormous_predictions_never_reach_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    # Number 3; each of these hangs or fills the memory under math-verify.
    verifier = without_workers(monkeypatch)
    for answer in ["(10^9)!", "5^(5^(5^5))", "8^{8^{8^{8}}}", "9" * 10**5, "x^{10^{10}}",
                   "x=(10^9)!", "5=(10^9)!=5", r"\{(10^9)!, x\}", "1,(10^9)!",
                   r"\dfrac{5^{(5^{(5^{(5^5)})}-4)}-5}{16}"]:
        verdict = verifier.verify(rf"\boxed{{{answer}}}", prompt("41"))
        # A set or a list is no number, whatever is in it.
        status = "ok" if "x\\}" in answer or "," in answer else "oversize"
        assert (verdict.reward, verdict.status) == (0.0, status)
    assert verifier.verify("9" * 10**5, prompt("41")).status == "no_answer"
    assert verifier.gold_problem(prompt("x=(10^9)!")) is None  # usable as a text only


def without_workers(monkeypatch: pytest.MonkeyPatch) -> MathVerifier:
    def refuse(jobs: list[object]) -> list[object]:
        assert jobs == []
        return []

    verifier = MathVerifier()
    monkeypatch.setattr(verifier._processes, "run", refuse)
    return verifier


def test_numbers_and_words_need_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = without_workers(monkeypatch)
    for gold, answer, reward in [
        ("12", "12.0", 1), (r"\frac{3}{7}", "6/14", 1), ("8", "-(-8)", 1), ("5", "banana", 0),
        (r"\text{Thursday}", "Thursday", 1), ("x=5", "5", 1), (r"x^2 + 1", "x^2+1", 1),
        ("1", "((1))", 1), (r"\frac{1}{60!}", r"\frac{1}{61!}", 0), (r"\{2,5\}", "(2,5)", 0),
    ]:
        assert verifier.verify(rf"\boxed{{{answer}}}", prompt(gold)).reward == reward


def test_each_pair_is_compared_once(
    verifier: MathVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    run = verifier._processes.run
    monkeypatch.setattr(
        verifier._processes, "run", lambda jobs: asked.extend(jobs) or run(jobs)  # type: ignore[func-returns-value]
    )
    total = r"\sum_{k=1}^{11}k"
    items = [(rf"\boxed{{{total}}}", prompt("66")), (rf"\fbox{{ {total} }}.", prompt("66"))] * 5
    assert {v.reward for v in verifier.verify_all(items)} == {1.0}
    assert {v.reward for v in verifier.verify_all(items)} == {1.0}
    assert len(asked) == 1


@pytest.mark.parametrize(("text", "status"), [
    ("5 5 5 5", "no_answer"),  # 11
    (r"<think>\boxed{5}</think> unsure", "no_answer"),
    (r"\boxed{\frac{1}{}", "no_answer"),
    (r"\boxed{\frac{0}{0}}", "unparsed"),
    (r"\boxed{\begin{cases}}", "unparsed"),
    (r"\boxed{6}", "ok"),
])
def test_statuses_of_wrong_answers(verifier: MathVerifier, text: str, status: str) -> None:
    verdict = verifier.verify(text, prompt("5"))
    assert (verdict.reward, verdict.status) == (0.0, status)


def test_code_in_an_answer_is_never_run(verifier: MathVerifier, tmp_path: Path) -> None:
    for code in ("open('{0}', 'w')", "__import__('os').system('touch {0}')"):
        attack = code.format(tmp_path / "ran")
        assert verifier.verify(rf"\boxed{{{attack}}}", prompt("5")).reward == 0.0
    assert not (tmp_path / "ran").exists()


def test_invisible_characters_change_nothing(verifier: MathVerifier) -> None:
    assert verifier.verify("\\boxed{5\x00\u202e}", prompt("5")).reward == 1.0


def test_lenient_extraction_is_an_option() -> None:
    lenient = MathVerifier(extraction=["boxed", "hash", "stated", "last_number"])
    assert lenient.verify("Final Answer: **31**", prompt("31")).reward == 1.0
    assert lenient.verify("so it is 31", prompt("31")).reward == 1.0
    assert MathVerifier().verify("so it is 31", prompt("31")).status == "no_answer"


@pytest.mark.parametrize("gold", ["", "see figure", r"\frac{1}{0}", r"\frac{1}{", "nan"])
def test_bad_golds_pay_nobody(verifier: MathVerifier, gold: str) -> None:
    # Number 6.
    assert verifier.gold_problem(prompt(gold)) is not None
    verdict = verifier.verify(r"\boxed{x+5}", prompt(gold))
    assert (verdict.reward, verdict.status) == (None, "bad_gold")
    assert verifier.verify(r"\boxed{x+5}", prompt(gold, "5+x")).reward == 1.0


def test_golds_of_math500_are_usable(verifier: MathVerifier, real_data: Path) -> None:
    # Number 18: raw golds without a box fail on 108 of these under math-verify.
    golds = [json.loads(line)["answer"] for line in (real_data / "math/math500.jsonl").open()]
    assert [g for g in golds[:150] if verifier.gold_problem(prompt(g))] == []
    verdicts = verifier.verify_all([(rf"\boxed{{{g}}}", prompt(g)) for g in golds])
    assert {v.reward for v in verdicts} == {1.0}


def test_a_worker_that_runs_out_of_time_gives_a_timeout_and_no_wrong_verdict() -> None:
    verifier = MathVerifier(cpu_seconds=0.01, workers=1)
    hard = (r"\boxed{\int_0^1 \frac{\sin x}{x^3+7x+1} dx}", prompt(r"\frac{1}{7}"))
    verdict = verifier.verify(*hard)
    assert (verdict.reward, verdict.status) == (0.0, "timeout")
    verifier.close()


def test_the_verdict_records_how_it_was_found(verifier: MathVerifier) -> None:
    verdict = verifier.verify(r"thus $\boxed{\sum_{k=1}^3 k}$.", prompt("6"))
    assert verdict == Verdict(1.0, "ok", "symbolic", r"\sum_{k=1}^3 k", verdict.milliseconds)
    assert verifier.verify(r"\boxed{\sqrt{12}}", prompt(r"2\sqrt{3}")).method == "exact"
    assert verifier.verify(r"\boxed{5}", prompt("6")).method == "numeric"
    assert verifier.verify(r"\boxed{x}", prompt("x")).method == "exact"


def test_importing_verifiers_loads_nothing_heavy() -> None:
    code = (
        "import sys, cropi.verifiers.math, cropi.verifiers.reasoning_gym;"
        "print(sorted({'torch', 'sympy', 'math_verify', 'reasoning_gym', 'transformers'}"
        " & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(("option", "value", "gold", "prediction"), [
    ("percent", "hundredth", r"35\%", r"\boxed{0.35}"),
    ("units", "compared", r"18\text{ cm}", r"\boxed{18\text{ m}}"),
    ("degrees", "angle", r"120^\circ", r"\boxed{\frac{2\pi}{3}}"),
    ("ratios", "text", "3:4", r"\boxed{\frac34}"),
    ("vectors", "apart", "(1,2)", r"\boxed{\begin{pmatrix}1\\2\end{pmatrix}}"),
    ("lists", "strict", r"\{1,2\}", r"\boxed{1,2}"),
    ("equations", "whole", "x=5", r"\boxed{5}"),
    ("bases", "always", "1011_2", r"\boxed{1011}"),
    ("case", "exact", r"\text{Yes}", r"\boxed{yes}"),
    ("choices", "letter", "C", r"\boxed{(C) 17}"),
    ("approximations", "refused", r"\sqrt2", r"\boxed{\sqrt2\approx1.414}"),
    ("fractions", "reduced", r"\frac37", r"\boxed{\frac{6}{14}}"),
    ("boxes", "last", "3, 8", r"$x=\boxed{3}$ and $y=\boxed{8}$"),
    ("decimal_comma", True, "6.2", r"\boxed{6,2}"),
    ("extraction", ["boxed", "hash", "stated", "last_number"], "31", "Final Answer: **31**"),
])
def test_every_convention_can_be_switched(
    option: str, value: object, gold: str, prediction: str
) -> None:
    usual = MathVerifier().verify(prediction, prompt(gold))
    switched = MathVerifier(**{option: value}).verify(prediction, prompt(gold))  # type: ignore[arg-type]
    assert {usual.reward, switched.reward} == {0.0, 1.0}
    # What is not about the convention stays as it was.
    assert MathVerifier(**{option: value}).verify(r"\boxed{7}", prompt("7")).reward == 1.0  # type: ignore[arg-type]


def test_every_convention_is_an_option_and_tested_above() -> None:
    names = {field.name for field in fields(Conventions)}
    assert names < {field.name for field in fields(MathVerifier)}
    mark = test_every_convention_can_be_switched.pytestmark[0]  # type: ignore[attr-defined]
    assert {row[0] for row in mark.args[1]} == names | {"extraction", "boxes"}


def test_boxes_are_joined_only_where_the_gold_has_as_many_parts(verifier: MathVerifier) -> None:
    two = r"so $x=\boxed{3}$ and $y=\boxed{8}$."
    assert verifier.verify(two, prompt("3, 8")).reward == 1.0
    assert verifier.verify(two, prompt(r"\{8, 3\}")).reward == 1.0
    for gold in ("3", "3, 9", "3, 8, 8", "(3, 8)"):
        assert verifier.verify(two, prompt(gold)).reward == 0.0
    assert verifier.verify(two, prompt("8")).reward == 1.0  # the last box
    assert verifier.verify("so \\boxed{3}\nthen \\boxed{8}", prompt("3, 8")).reward == 0.0
    assert verifier.verify(r"\boxed{9} or \boxed{11}", prompt("9")).reward == 0.0


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="wall_seconds"):
        MathVerifier(cpu_seconds=5.0, wall_seconds=1.0)
