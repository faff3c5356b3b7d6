"""``cropi runs``: what lies in a folder of runs, and how far each is."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from run_folders import write_run

from cropi.cli import main
from cropi.runtime.locks import exclusive

STEPS = {"phases": 1, "steps_per_phase": 20}


def listed(capsys: pytest.CaptureFixture[str], *paths: Path) -> dict[str, dict[str, Any]]:
    assert main(["runs", *map(str, paths), "--json"]) == 0
    return {row["run"]: row for row in json.loads(capsys.readouterr().out)}


def fail(folder: Path, **more: Any) -> Path:
    """As the runner of sweeps leaves a job that failed."""
    folder.mkdir(exist_ok=True)
    (folder / "failure.json").write_text(json.dumps({
        "error": "killed by SIGKILL (out of memory?)", "exit": None, "signal": "SIGKILL",
        "log": str(folder / "log.txt"), "command": "cropi seed=1", "attempts": 1,
        "time": "2026-11-25T12:00:00+00:00", "choices": {"selector": "full"},
        "config": {"seed": 1, **STEPS}, **more,
    }))
    return folder


def test_states_of_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "done", [0.2, 0.3, 0.5], **STEPS)
    write_run(tmp_path / "half", [0.2, 0.4], finished=False, seed=7, method="random", **STEPS)
    fail(write_run(tmp_path / "broken", [0.2], finished=False, **STEPS))
    fail(tmp_path / "before")  # it never had a manifest
    busy = write_run(tmp_path / "nested" / "busy", [0.2], finished=False)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "manifest.json").write_text("{")
    with exclusive(busy), exclusive(tmp_path / "loading"):
        found = listed(capsys, tmp_path)
    assert {name: row["state"] for name, row in found.items()} == {
        "done": "finished", "half": "unfinished", "broken": "failed", "busy": "running",
        "loading": "running", "before": "failed", "odd": "unreadable",
    }
    half = found["half"]
    assert (half["steps"], half["of_steps"], half["targeted"]) == (10, 20, 0.4)
    assert (half["method"], half["seed"]) == ("random", 7)
    assert (found["before"]["method"], found["before"]["seed"]) == ("full", 1)
    assert found["done"]["targeted"] == 0.5
    assert found["done"]["folder"] == str(tmp_path / "done")
    assert "cannot be read as a run" in found["odd"]["error"]


def test_what_a_killed_process_left_is_no_running_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "killed", [0.2], finished=False)
    (run / ".lock-owner.json").write_text("{}")
    (run / ".lock").touch()
    assert listed(capsys, tmp_path)["killed"]["state"] == "unfinished"


def test_age_and_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, hours in (("old", 50), ("new", 3)):
        run = write_run(tmp_path / name, [0.2])
        (run / "weights").write_bytes(b"x" * 2**20)
        for file in run.iterdir():
            os.utime(file, (time.time() - hours * 3600,) * 2)
    found = listed(capsys, tmp_path)
    assert list(found) == ["old", "new"]
    assert found["new"]["age_seconds"] == pytest.approx(3 * 3600, abs=60)
    assert 2**20 < found["old"]["bytes"] < 2**20 + 10_000
    assert main(["runs", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-4:] for line in lines if line.strip().startswith(("old", "new"))] == [
        ["2", "d", "1.0", "MiB"], ["3", "h", "1.0", "MiB"]
    ]


def test_the_table_names_why_a_run_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "done", [0.25, 0.5], **STEPS)
    fail(tmp_path / "before")
    assert main(["runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.strip().startswith("done"))
    assert row.split()[:7] == ["done", "finished", "10/20", "cropi", "0", "50.0", "%"]
    assert out.splitlines()[-1] == "failed: before: killed by SIGKILL (out of memory?)"


def test_nothing_there_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"no runs below {tmp_path} yet; `cropi` starts one\n"
    assert listed(capsys, tmp_path) == {}
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "no runs below runs yet; `cropi` starts one\n"
    assert main(["runs", "absent"]) == 1
    assert capsys.readouterr().err.startswith("error: absent is not a folder")
