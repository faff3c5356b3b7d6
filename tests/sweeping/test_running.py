"""Jobs in processes of their own: what becomes of those that fail, and of the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cropi.runtime.locks import exclusive
from cropi.settings import Jobs
from cropi.sweeping.jobs import FrozenJob, Sweep
from cropi.sweeping.running import Ending, Runner
from cropi.sweeping.slots import places

HERE = Path(__file__).parent
STUB = (sys.executable, str(HERE / "stub_job.py"))


def sweep(folder: Path, *causes: str) -> Sweep:
    jobs = tuple(
        FrozenJob((f"name={cause}", f"seed={n}"), {"name": cause}, {}, str(folder / f"{cause}-{n}"))
        for n, cause in enumerate(causes)
    )
    made = Sweep("test-0", folder / "sweeps" / "test-0", jobs)
    made.write(["cropi"])
    return made


def run(made: Sweep, told: list[str] | None = None, **options: Any) -> list[Ending]:
    chosen = {"slots": 1, "on_error": "continue", "retries": 1, **options}
    lines = [] if told is None else told
    return Runner(made, Jobs(**chosen), lines.append, STUB).run()  # type: ignore[arg-type]


def test_the_others_go_on_and_every_failure_is_recorded(tmp_path: Path) -> None:
    # hydra_ux.md, failures 9 and 10, and acceptance test 4.
    made = sweep(tmp_path, "raise", "fine", "exit", "kill", "fine")
    told: list[str] = []
    endings = run(made, told)
    assert [(e.status, e.error) for e in endings] == [
        ("failed", "ValueError: broken"), ("finished", ""), ("failed", "exit code 3"),
        ("failed", "killed by SIGKILL (out of memory?)"), ("finished", ""),
    ]
    assert "[1/5] name=raise seed=0 failed: ValueError: broken" in told
    record = json.loads((tmp_path / "kill-3" / "failure.json").read_text())
    assert (record["signal"], record["exit"], record["attempts"]) == ("SIGKILL", None, 1)
    assert record["command"] == "cropi name=kill seed=3"
    assert not (tmp_path / "fine-1" / "failure.json").exists()


def test_again_only_what_is_missing_runs(tmp_path: Path) -> None:
    made = sweep(tmp_path, "raise", "fine")
    run(made)
    assert [e.status for e in run(made)] == ["failed", "done before"]
    assert (tmp_path / "fine-1" / "started").read_text().count("\n") == 1
    assert (tmp_path / "raise-0" / "started").read_text().count("\n") == 2


def test_stop_starts_nothing_more(tmp_path: Path) -> None:
    endings = run(sweep(tmp_path, "fine", "raise", "fine", "fine"), on_error="stop")
    assert [e.status for e in endings] == ["finished", "failed", "skipped", "skipped"]
    assert not (tmp_path / "fine-2").exists()


def test_retry_tries_again(tmp_path: Path) -> None:
    told: list[str] = []
    endings = run(sweep(tmp_path, "once", "raise"), told, on_error="retry", retries=2)
    assert [e.status for e in endings] == ["finished", "failed"]
    assert (tmp_path / "raise-1" / "started").read_text().count("\n") == 3
    assert sum("is tried again" in line for line in told) == 3
    assert not (tmp_path / "once-0" / "failure.json").exists()


def test_slots_run_side_by_side_with_their_own_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    made = sweep(tmp_path, *["fine"] * 4)
    assert {e.status for e in run(made, slots=2)} == {"finished"}
    starts = [(tmp_path / f"fine-{n}" / "started").read_text().split() for n in range(4)]
    assert {name for name, _ in starts} == {"test-0"}
    assert {gpu for _, gpu in starts} == {"0", "1"}


def test_places_share_out_cores_and_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert places(1, 4, 8) == [{}]
    assert places(2, 0, 8) == [{"OMP_NUM_THREADS": "4"}] * 2
    assert [p["CUDA_VISIBLE_DEVICES"] for p in places(3, 2, 2)] == ["0", "1", "0"]
    assert places(3, 2, 2)[0]["OMP_NUM_THREADS"] == "1"


def test_a_run_that_another_process_works_on_is_waited_for(tmp_path: Path) -> None:
    made = sweep(tmp_path, "fine", "fine")
    held, go = threading.Event(), threading.Event()

    def other() -> None:
        with exclusive(tmp_path / "fine-0"):
            held.set()
            go.wait(20)
            (tmp_path / "fine-0" / "result.json").write_text("{}")

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(20)
    threading.Timer(1.5, go.set).start()
    endings = run(made)
    thread.join()
    assert [e.status for e in endings] == ["done before", "finished"]
    assert not (tmp_path / "fine-0" / "started").exists()


def test_a_job_that_finds_its_run_taken_is_no_failure(tmp_path: Path) -> None:
    assert [e.status for e in run(sweep(tmp_path, "busy"))] == ["finished"]


def test_an_interrupt_stops_the_jobs_first(tmp_path: Path) -> None:
    made = sweep(tmp_path, "sleep", "fine")
    interrupt = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(made)
    assert time.monotonic() - began < 20
    assert not (tmp_path / "fine-1").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_real_sweep_in_which_jobs_raise_exit_and_are_killed(tmp_path: Path) -> None:
    """2 x 2 x 2: the table is right, the exit code 1; again runs only those; once more none."""
    group = tmp_path / "groups" / "selector"
    group.mkdir(parents=True)
    (group / "sabotage.yaml").write_text(
        "# Breaks on purpose.\n_target_: sabotage.Sabotage\n\n# 1.\nalpha: 1\n\n# once.\n"
        "refresh: once\n\n# Of the table.\nrow: a\n\n# Of the table.\ncolumn: x\n\n"
        "# What cures.\ncure: ''\n"
    )
    command = [
        sys.executable, "-m", "cropi", "--config-dir", str(tmp_path / "groups"), "-m",
        "debug=tiny", "selector=sabotage", f"selector.cure={tmp_path / 'cured'}",
        "selector.row=a,b", "selector.column=x,y", "seed=0,1", "phases=1", "steps_per_phase=1",
        f"runs={tmp_path / 'runs'}", f"cache={tmp_path / 'cache'}", "jobs.slots=2",
    ]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}

    def sweep_once() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=580
        )

    first = sweep_once()
    assert first.returncode == 1, first.stderr
    assert "5 of 8 jobs finished" in first.stdout
    for cause in ("ValueError: the selector broke", "sys.exit(3)", "killed by SIGKILL"):
        assert first.stdout.count(f"failed: {cause}") == 1
    assert len(list(tmp_path.glob("runs/*/failure.json"))) == 3
    (tmp_path / "cured").touch()
    second = sweep_once()
    assert second.returncode == 0, second.stderr
    assert "8 of 8 jobs finished, 5 before" in second.stdout
    assert second.stderr.count(" started") == 3
    third = sweep_once()
    assert third.returncode == 0
    assert "8 of 8 jobs finished, 8 before" in third.stdout
    assert " started" not in third.stderr
    assert not list(tmp_path.glob("runs/*/failure.json"))
