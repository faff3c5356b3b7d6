"""A run once more, from what its manifest froze."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from cropi.cli import main
from cropi.rerun import changed, different_metrics
from cropi.tracking.metrics_file import MetricsFile

TINY = ["debug=tiny", "selector=learnability", "phases=1", "steps_per_phase=2"]


@pytest.fixture(scope="module", autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Hydra sets logging up for its process; the other tests want it back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    assert main([*TINY, f"runs={runs}", f"cache={runs / 'cache'}"]) == 0
    (manifest,) = runs.glob("*/manifest.json")
    return manifest.parent


def test_a_rerun_is_the_same_to_the_bit(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = f"cache={finished.parent / 'cache'}"
    assert main(["rerun", str(finished), cache]) == 0
    out = capsys.readouterr().out
    assert "every metric is the same to the bit" in out
    again = finished.parent / "reruns" / finished.name
    assert str(again) in out
    assert (again / "result.json").exists()


def test_presets_that_changed_since_are_not_read(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The manifest alone counts: what it froze differs from every preset there is."""
    manifest = json.loads((finished / "manifest.json").read_text())
    manifest["config"]["trainer"]["learning_rate"] = 1e-9
    manifest["environment"]["packages"]["torch"] = "1.0"
    old = tmp_path / finished.name
    old.mkdir()
    (old / "manifest.json").write_text(json.dumps(manifest))
    (old / "metrics.jsonl").write_bytes((finished / "metrics.jsonl").read_bytes())
    cache = f"cache={finished.parent / 'cache'}"
    assert main(["rerun", str(old), f"runs={tmp_path / 'again'}", cache]) == 1
    out = capsys.readouterr().out
    assert "differs now: torch 1.0 -> " in out
    assert "metrics differ from step" in out
    (made,) = (tmp_path / "again").glob("*/manifest.json")
    assert json.loads(made.read_text())["config"]["trainer"]["learning_rate"] == 1e-9


def test_a_rerun_is_not_another_experiment(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rerun", str(finished), "seed=1"]) == 2
    assert "seed=1: would make it another experiment" in capsys.readouterr().err


def test_environments_are_compared_by_what_matters() -> None:
    was = {"python": "3.11.1", "packages": {"torch": "1", "trl": "2"}, "cpu_cores": 2}
    now = {"python": "3.11.2", "packages": {"torch": "1", "peft": "3"}, "cpu_cores": 64}
    assert changed(was, now) == [
        "python 3.11.1 -> 3.11.2", "peft absent -> 3", "trl 2 -> absent"
    ]


def test_metrics_are_compared_without_times(tmp_path: Path) -> None:
    for name, loss, seconds in (("a", 0.5, 1.0), ("b", 0.5, 9.0), ("c", 0.6, 1.0)):
        with MetricsFile(tmp_path / f"{name}.jsonl") as file:
            file.append(3, 0, "train", {"loss": loss, "cost/training/seconds": seconds})
    a, b, c = (tmp_path / f"{name}.jsonl" for name in "abc")
    assert different_metrics(a, b) == []
    assert different_metrics(a, c) == [(3, "loss")]
