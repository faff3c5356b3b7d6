"""A user's own reward function."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from cropi.contracts import Verifier
from cropi.runtime.errors import ConfigError, CropiError
from cropi.runtime.parts import build
from cropi.types import Prompt
from cropi.verifiers.function_lookup import fault_of
from cropi.verifiers.python_function import PythonFunctionVerifier

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    if str(HERE) not in sys.path:
        monkeypatch.syspath_prepend(HERE)


def prompt(*golds: str, **metadata: object) -> Prompt:
    return Prompt.create("question", golds, source="test", metadata=metadata)


@pytest.fixture(scope="module")
def told() -> Iterator[PythonFunctionVerifier]:
    sys.path.insert(0, str(HERE))
    verifier = PythonFunctionVerifier(
        function="reward_functions:told", workers=1, cpu_seconds=0.5, wall_seconds=1.5,
        megabytes=2048,
    )
    yield verifier
    verifier.close()
    sys.path.remove(str(HERE))


@pytest.mark.parametrize(("text", "reward", "status"), [
    ("fine", 1.0, "ok"), ("compile", 1.0, "ok"), ("read", 1.0, "ok"), ("numpy", 0.5, "ok"),
    ("none", None, "bad_gold"),
    *((text, 0.0, "crashed") for text in [
        "two", "negative", "nan", "text", "list", "object", "array", "raise", "exit", "die",
        "write", "run",
    ]),
    ("spin", 0.0, "timeout"), ("sleep", 0.0, "timeout"), ("memory", 0.0, "oversize"),
    ("fine again", 1.0, "ok"),
])
def test_whatever_it_does_there_is_a_verdict(
    told: PythonFunctionVerifier, text: str, reward: float | None, status: str, tmp_path: Path
) -> None:
    verdict = told.verify(text, prompt("1", file=str(tmp_path / "written")))
    assert (verdict.reward, verdict.status) == (reward, status)
    assert not list(tmp_path.iterdir())


def test_every_item_has_its_own_verdict(told: PythonFunctionVerifier) -> None:
    # verifier.md number 7: never one value for all.
    texts = ["none", "fine", "raise", "numpy", "die", "fine"]
    verdicts = told.verify_all([(text, prompt("1")) for text in texts])
    assert [v.reward for v in verdicts] == [None, 1.0, 0.0, 0.5, 0.0, 1.0]
    assert [v.extracted for v in verdicts] == texts
    assert told.verify_all([]) == []


def test_what_was_wrong_is_told_once(
    told: PythonFunctionVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    told._told.clear()
    told.verify_all([("two", prompt("1"))] * 3)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "reward_functions:told: ValueError: returned 2; a reward is a number" in messages[0]


def test_it_is_given_text_gold_and_metadata() -> None:
    verifier = PythonFunctionVerifier(function="reward_functions:kinds", workers=1)
    assert verifier.verify("str []", prompt("1")).reward == 1.0
    assert verifier.verify("list ['a', 'b']", prompt("1", "2", a=1, b=None)).reward == 1.0
    assert verifier.verify("list []", prompt()).reward == 1.0
    verifier.close()
    same = PythonFunctionVerifier(function="reward_functions:same", workers=1)
    for text in ["é \ud800 \x00 \u202e", "x" * 10**6, ""]:
        odd = Prompt("id", "", (text,), "test")
        assert same.verify(text, odd).reward == 1.0
    same.close()


def test_prompts_that_it_cannot_score_are_dropped_at_load() -> None:
    verifier = PythonFunctionVerifier(function="reward_functions:only_even")
    assert verifier.gold_problems([prompt("2"), prompt("3"), prompt("4")]) == [
        None, "reward_functions:only_even cannot score it", None
    ]
    assert verifier.gold_problem(prompt("3")) is not None
    verifier.close()


def test_how_it_wants_answers_written_is_an_option() -> None:
    verifier = PythonFunctionVerifier(function="reward_functions:same", completion="{gold}")
    assert verifier.completion_of("5") == "5"
    assert verifier.verify(verifier.completion_of("5"), prompt("5")).reward == 1.0
    verifier.close()
    assert PythonFunctionVerifier(function="reward_functions:same").completion_of("5") == (
        r"\boxed{5}"
    )
    with pytest.raises(ValidationError, match=r"must contain \{gold\}"):
        PythonFunctionVerifier(function="reward_functions:same", completion="gold")


@pytest.mark.parametrize(("function", "problem"), [
    ("reward_functions:told", None), ("reward_functions:loaded", None),
    ("reward_functions:borrowed", None), ("json.decoder:JSONDecoder", None), ("math:sin", None),
    ("reward_functions:tolt", r'reward_functions.py has no tolt \(did you mean "told"\?\)'),
    ("reward_functions:verdict", "has no verdict"),
    ("nothing_there:f", "there is no module nothing_there"),
    ("json.nothing:f", r"there is no module json.nothing"), ("math.sin:f", "there is no module"),
    ("reward_functions", "not of the form module:function"),
    ("reward_functions.told", "not of the form module:function"),
    ("a b:f", "not of the form"), (":f", "not of the form"), ("m:", "not of the form"),
    ("m:f()", "not of the form"), (".m:f", "not of the form"), ("", "not of the form"),
    ("__main__:f", "no module __main__"),
])
def test_a_missing_function_is_a_mistake_in_the_configuration(
    function: str, problem: str | None
) -> None:
    node = {"_target_": "cropi.verifiers.python_function.PythonFunctionVerifier",
            "function": function}
    if problem is None:
        build(node, Verifier, "verifier")
    else:
        with pytest.raises(ConfigError, match=problem):
            build(node, Verifier, "verifier")


def test_looking_it_up_runs_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "looked_up"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "rewards.py").write_text("raise SystemExit('imported')\ndef score(): ...\n")
    (package / "broken.py").write_text("def score(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert fault_of("looked_up.rewards:score") is None
    assert "broken.py, line 1" in str(fault_of("looked_up.broken:score"))
    verifier = PythonFunctionVerifier(function="looked_up.rewards:score", workers=1)
    assert "looked_up" not in sys.modules
    with pytest.raises(CropiError, match="did not start"):
        verifier.verify("x", prompt("1"))
    verifier.close()
