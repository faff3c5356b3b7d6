"""``debug=tiny``: the whole pipeline, from an empty cache, while one waits."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cropi.policies.template import PromptTemplate
from cropi.policies.tiny import Tiny


def seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
def test_the_whole_pipeline_takes_less_than_a_minute(tmp_path: Path) -> None:
    began = seconds_of_children()
    subprocess.run(
        [sys.executable, "-m", "cropi", "debug=tiny"], check=True, capture_output=True,
        cwd=tmp_path, env={**os.environ, "CROPI_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert seconds_of_children() - began < 60.0  # of the processor: others may be at work too
    (run,) = tmp_path.glob("runs/arithmetic-tiny-cropi-seed0-*/result.json")
    result = json.loads(run.read_text())
    # Scored twice, trained, evaluated, saved.
    assert result["steps"] == 6
    assert result["cost"]["selection"]["backward_tokens"] > 0
    assert {"eval/targeted", "eval/untargeted"} <= set(result["metrics"])
    for phase in ("000", "001"):
        assert (run.parent / "phases" / phase / "selection.jsonl").stat().st_size > 0
    assert (run.parent / "final" / "config.json").exists()


def test_the_warm_start_is_the_same_on_any_number_of_cores(tmp_path: Path) -> None:
    prints = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        model = Tiny(
            template=PromptTemplate(user="{question}", chat=False), examples=400, steps=2,
            hidden_size=128, intermediate_size=512,
        )  # fmt: skip
        policy = model.load(tmp_path / str(threads))
        prints.append(policy.fingerprint())
        assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    assert prints[0] == prints[1]
