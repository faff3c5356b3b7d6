"""``cropi study=projection`` from the command line, on a run of seconds."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from cropi.cli import main

TINY = [
    "debug=tiny", "selector=cropi", "selector.alpha=0.3", "phases=1", "steps_per_phase=1",
    "benchmark.pool_size=120",
]  # fmt: skip
STUDY = [
    "study=projection", "study.keep=[0.1,1.0]", "study.k=[64]", "study.seeds=2", "study.draws=20",
    "study.timed_prompts=1", "study.prompts=30", "study.precision=[float32,float16]",
]  # fmt: skip


@pytest.fixture
def _own_logging() -> Iterator[None]:
    """The command line sets up logging; other tests must not inherit it."""
    loggers = [logging.getLogger(), logging.getLogger("cropi")]
    before = [(each, each.handlers[:], each.level, each.propagate) for each in loggers]
    yield
    for each, handlers, level, propagate in before:
        each.handlers[:], each.level, each.propagate = handlers, level, propagate
        each.setLevel(level)


@pytest.mark.slow
@pytest.mark.usefixtures("_own_logging")
def test_a_study_runs_its_run_and_reads_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [f"runs={tmp_path / 'runs'}", f"cache={tmp_path / 'cache'}"]
    assert main([*TINY, *STUDY, *places]) == 0
    (folder,) = (p for p in (tmp_path / "runs").iterdir() if p.name != "shared")
    answer = folder / "studies" / "projection-step-0"
    result = json.loads((answer / "result.json").read_text())
    assert (folder / "result.json").exists(), "the run that was described is run first"
    assert {"precision.png", "table.md"} <= {path.name for path in answer.iterdir()}
    assert len(result["settings"]) == 2 * 2 * 2  # projectors, keeps, precisions
    for row in result["settings"]:
        for name in ("spearman", "precision_at"):
            mean, low, high = row[name]
            assert low <= mean + 1e-9 <= high + 2e-9
    best = {
        (row["projector"], row["keep"]): row["spearman"][0]
        for row in result["settings"] if row["precision"] == "float32"
    }  # fmt: skip
    assert best["sparse", 1.0] > best["sparse", 0.1]
    assert {row["engine"] for row in result["seconds"]} == {"fast", "reference"}
    assert "Spearman" in capsys.readouterr().out

    untimed = [f"study.run={folder}", "study.step=null", "study.timed_prompts=0", *places]
    assert main([*STUDY, *untimed]) == 0
    assert (folder / "studies" / "projection-step-last" / "result.json").exists()

    assert main([*STUDY, f"study.run={folder}", "study.step=77", *places]) == 1
    assert "has no policy of step 77" in capsys.readouterr().err
    assert main([*STUDY, "study.run=nowhere", *places]) == 1
    assert "is not the folder of a run" in capsys.readouterr().err
    assert main([*STUDY, "study.at=2", *places]) == 2
    assert "study.at=2" in capsys.readouterr().err
