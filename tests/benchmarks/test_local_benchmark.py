"""Two files are a benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cropi.benchmarks.local import Local
from cropi.contracts import Benchmark
from cropi.runtime.errors import ConfigError, DataError
from cropi.runtime.parts import build


def write(path: Path, questions: list[str]) -> str:
    rows = [{"problem": question, "solution": "\\boxed{1}"} for question in questions]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_two_files(tmp_path: Path) -> None:
    prompts = Local(
        train_file=write(tmp_path / "train.jsonl", ["a", "b", "t3"]),
        test_file=write(tmp_path / "test.jsonl", [f"t{n}" for n in range(10)]),
        question="problem", answer="solution", gold="boxed", validation_share=0.3,
    ).load(0)
    assert [prompt.question for prompt in prompts.pool] == ["a", "b"]
    assert prompts.pool[0].golds == ("1",)
    assert len(prompts.validation["local"]) == 3
    assert len(prompts.tests["local"].prompts) == 7
    assert prompts.tests["local"].targeted


def test_three_files_leave_the_test_set_whole(tmp_path: Path) -> None:
    prompts = Local(
        train_file=[write(tmp_path / "1.jsonl", ["a"]), write(tmp_path / "2.jsonl", ["b"])],
        validation_file=write(tmp_path / "validation.jsonl", ["v"]),
        test_file=write(tmp_path / "test.jsonl", [f"t{n}" for n in range(10)]),
        question="problem", answer="solution", gold="boxed",
    ).load(0)
    assert [prompt.question for prompt in prompts.pool] == ["a", "b"]
    assert [prompt.question for prompt in prompts.validation["local"]] == ["v"]
    assert len(prompts.tests["local"].prompts) == 10


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    test_file = write(tmp_path / "test.jsonl", ["t"])
    with pytest.raises(DataError, match=r"there is no file .*train\.jsonl"):
        Local(train_file=str(tmp_path / "train.jsonl"), test_file=test_file).load(0)


def test_files_must_be_named() -> None:
    node = {"_target_": "cropi.benchmarks.local.Local"}
    with pytest.raises(ConfigError, match=r"benchmark\.train_file: needs a value") as error:
        build(node, Benchmark, "benchmark")
    assert "benchmark.test_file" in str(error.value)
