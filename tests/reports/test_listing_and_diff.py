"""What lies in a folder of runs, and what two of them differ in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_folders import write_run

from cropi.cli import main
from cropi.reports.diff import lines
from cropi.runtime.locks import exclusive


def test_states_of_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "done", [0.2, 0.5], phases=1, steps_per_phase=10)
    write_run(tmp_path / "half", [0.2], finished=False, phases=1, steps_per_phase=10)
    broken = write_run(tmp_path / "broken", [0.2], finished=False)
    (broken / "failure.json").write_text(json.dumps({"error": "x"}))
    busy = write_run(tmp_path / "busy", [0.2], finished=False)
    with exclusive(busy):
        assert main(["runs", str(tmp_path), "--json"]) == 0
    found = {row["run"]: row for row in json.loads(capsys.readouterr().out)}
    assert {name: row["state"] for name, row in found.items()} == {
        "done": "finished", "half": "unfinished", "broken": "failed", "busy": "running"
    }
    assert (found["done"]["steps"], found["done"]["of_steps"]) == (10, 10)
    assert found["done"]["targeted"] == 0.5
    assert main(["runs", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "10/10" in shown
    assert "50.0" in shown


def test_no_runs_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"error: no runs below {tmp_path}")


def test_only_what_differs_is_shown(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", [0.2, 0.5], data={"alpha": 0.1, "beta": 2})
    other = write_run(tmp_path / "b", [0.2, 0.6], seed=1, data={"alpha": 0.2, "beta": 2})
    found = lines(one, other)
    assert "  data.alpha: 0.1 -> 0.2" in found
    assert "  seed: 0 -> 1" in found
    assert not any("beta" in line for line in found)
    assert "  eval/targeted: 0.5000  0.6000" in found
    assert lines(one, one).count("  the same") == 3


def test_what_is_no_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "run-a", [0.2])
    assert main(["diff", str(tmp_path / "run-a"), str(tmp_path / "run-b")]) == 1
    assert "is not the folder of a run (did you mean" in capsys.readouterr().err
