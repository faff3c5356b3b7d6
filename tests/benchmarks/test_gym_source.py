"""Generated tasks: the same again for a seed, each question once, and all that scoring needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cropi.benchmarks.gym import Gym
from cropi.contracts import Dropped
from cropi.runtime.errors import DataError
from cropi.types import Prompt

pytest.importorskip("reasoning_gym")
SMALL = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}


def read(**options: Any) -> list[Prompt]:
    return [item for item in Gym(**options).read() if isinstance(item, Prompt)]


def test_items_come_from_seed_plus_index() -> None:
    first = read(tasks={"gcd": {}}, size=6, seed=10)
    shifted = read(tasks={"gcd": {}}, size=6, seed=13)
    assert first == read(tasks={"gcd": {}}, size=6, seed=10)
    # The trap that distant seeds avoid: neighbouring seeds give mostly the same items.
    assert [p.question for p in first[3:]] == [p.question for p in shifted[:3]]


def test_a_question_is_given_once() -> None:
    items = list(Gym(tasks={"chain_sum": SMALL}, size=300).read())
    questions = [item.question for item in items if isinstance(item, Prompt)]
    repeats = [item for item in items if isinstance(item, Dropped)]
    assert len(items) == 300
    assert len(set(questions)) == len(questions) < 200
    assert {item.reason for item in repeats} == {"duplicate"}
    assert repeats[0].row.startswith("chain_sum, seed ")


@pytest.mark.parametrize("task", ["chain_sum", "basic_arithmetic", "gcd", "number_sorting"])
def test_metadata_is_json_that_scores_the_gold(task: str) -> None:
    from reasoning_gym import get_score_answer_fn

    for prompt in read(tasks={task: {}}, size=5):
        metadata = json.loads(json.dumps(prompt.metadata))
        assert metadata == prompt.metadata
        assert (prompt.family, prompt.source) == (task, f"gym/{task}")
        score = get_score_answer_fn(metadata["gym_task"])
        assert score(prompt.golds[0], metadata["gym_entry"]) == 1.0


def test_a_task_with_many_answers_has_no_gold() -> None:
    (prompt,) = read(tasks={"graph_color": {}}, size=1)
    assert prompt.golds == ()
    assert prompt.metadata["gym_entry"]["answer"] is None


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({}, "names no task"),
        ({"chain_sums": {}}, r'no task \'chain_sums\' \(did you mean "chain_sum"\?\)'),
        ({"chain_sum": {"terms": 2}}, "chain_sum refuses .*terms"),
        ({"chain_sum": {"min_terms": 5, "max_terms": 2}}, "chain_sum refuses"),
    ],
)
def test_mistakes_name_the_task(tasks: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tasks=tasks, size=1)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "reasoning_gym", None)
    with pytest.raises(DataError, match=r"pip install 'cropi\[gym\]'"):
        read(tasks={"chain_sum": {}}, size=1)
