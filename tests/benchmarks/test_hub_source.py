"""The hub source, on data sets in local folders (no network) and on a hub out of reach."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from cropi.benchmarks.hub import Hub
from cropi.runtime.errors import DataError
from cropi.types import Prompt

CARD = """---
configs:
- config_name: algebra
  data_files: [{split: test, path: algebra.jsonl}]
- config_name: geometry
  data_files: [{split: test, path: geometry.jsonl}]
---
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    where = tmp_path / "owner" / "maths"
    where.mkdir(parents=True)
    (where / "README.md").write_text(CARD)
    for subject in ("algebra", "geometry"):
        row = {"problem": subject, "solution": "so \\boxed{\\frac{1}{2}}", "type": subject}
        (where / f"{subject}.jsonl").write_text(json.dumps(row))
    return str(where)


def hub(path: str, **options: object) -> Hub:
    return Hub(
        path=path, split="test", question="problem", answer="solution", gold="boxed",
        family="type", **options,  # type: ignore[arg-type]
    )


def test_configs_are_read_one_after_the_other(folder: str) -> None:
    source = hub(folder, configs=["geometry", "algebra"])
    prompts = [item for item in source.read() if isinstance(item, Prompt)]
    assert [(p.question, p.golds, p.family) for p in prompts] == [
        ("geometry", ("\\frac{1}{2}",), "geometry"), ("algebra", ("\\frac{1}{2}",), "algebra")
    ]
    assert {p.source for p in prompts} == {"maths/test"} == {source.name}


def test_a_config_that_does_not_exist(folder: str) -> None:
    with pytest.raises(DataError, match=r"config topology, split test.*topology"):
        list(hub(folder, configs=["topology"]).read())


def test_a_missing_field_names_those_there_are(folder: str) -> None:
    source = Hub(path=folder, split="test", configs=["algebra"])
    with pytest.raises(DataError, match=r"row 1: there is no field 'question'.*problem, solution"):
        list(source.read())


def test_offline_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError) as error:
        list(Hub(path="owner/nowhere", split="train").read())
    assert "owner/nowhere (config default, split train, revision latest)" in str(error.value)
    assert "benchmark=local" in str(error.value)
