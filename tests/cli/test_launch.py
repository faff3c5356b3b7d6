"""Exit codes, what is told when a job fails, and what Hydra is left to do."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cropi.cli import main
from cropi.launch import _through_hydra
from cropi.run import RunResult
from cropi.runtime.errors import CropiError
from cropi.types import Cost

RESULT = RunResult(Path("runs/x"), {"eval/all": 0.25, "eval/targeted": 0.5, "loss": 1}, Cost(), "f")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Any:
    """Hydra sets logging up for its process; the other tests want it back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, str]]]:
    """Configurations given to ``run_experiment``; seed 1 fails, 2 exits, 3 breaks, 4 is Ctrl-C."""
    calls: list[tuple[Any, dict[str, str]]] = []

    def run_experiment(cfg: Any, choices: dict[str, str]) -> RunResult:
        calls.append((cfg, choices))
        match cfg.seed:
            case 1:
                raise CropiError("the data are gone\nlook for them")
            case 2:
                sys.exit(3)
            case 3:
                raise ZeroDivisionError("by zero")
            case 4:
                raise KeyboardInterrupt
        return RESULT

    monkeypatch.setattr("cropi.run.run_experiment", run_experiment)
    monkeypatch.setattr("cropi.reports.results.main", lambda paths: print("table of", *paths))
    return calls


def test_a_run_prints_where_it_is(seen: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selector=full"]) == 0
    cfg, choices = seen[0]
    assert cfg.selector._target_ == "baselines.full.Full"
    assert "hydra" not in cfg
    assert choices["selector"] == "full"
    assert capsys.readouterr().out == "table of runs/x\nruns/x\n"


def test_nothing_is_written_where_cropi_is_called(seen: list[Any], tmp_path: Path) -> None:
    main([])
    assert list(tmp_path.iterdir()) == []
    main(["-m", "seed=0,5", "dry_run=true"])
    assert list(tmp_path.iterdir()) == []


def test_flags_may_stand_anywhere(seen: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seed=0,5", "-m", "selector=full", "dry_run=true"]) == 0
    assert seen == []
    assert "0 done, 2 to run; no finished run to estimate from" in capsys.readouterr().out


def test_a_dry_run_of_one_experiment_is_its_plan(
    seen: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selector=full", "dry_run=true"]) == 0
    assert seen == []
    assert "0 done, 1 to run" in capsys.readouterr().out


def test_failure_has_text_but_no_traceback(
    seen: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["seed=1"]) == 1
    assert capsys.readouterr().err == "error: the data are gone\nlook for them\n"


def test_unexpected_error_keeps_its_traceback_and_names_the_log(
    seen: list[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["seed=3"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "ZeroDivisionError: by zero" in err
    assert err.endswith(f"unexpected error; no run folder was begun in {tmp_path / 'runs'}\n")

    from cropi.composition import compose
    from cropi.configuration import science_hash

    log = tmp_path / "runs" / f"any-{science_hash(compose(['seed=3']))}" / "log.txt"
    log.parent.mkdir(parents=True)
    log.touch()
    main(["seed=3"])
    assert capsys.readouterr().err.endswith(f"unexpected error; the log is {log}\n")


def test_interrupt_says_how_to_continue(
    seen: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["seed=4", "name=a b"]) == 130
    assert capsys.readouterr().err == "\nstopped; to continue: cropi seed=4 'name=a b'\n"


def test_hydras_own_sweeps_go_on_after_failures_and_are_summed_up(
    seen: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    # What another launcher or sweeper of Hydra does: hydra_ux.md, failures 9 and 10.
    assert _through_hydra(["seed=1,2,3,0", "-m"], ["-m", "seed=1,2,3,0"]) == 1
    assert [cfg.seed for cfg, _ in seen] == [1, 2, 3, 0]
    out, err = capsys.readouterr()
    assert "error: the data are gone" in err
    assert "sys.exit(3)" in err
    assert out.splitlines()[-10:] == [
        "table of runs/x",
        "runs/x",
        "",
        "1 of 4 jobs finished",
        "failed: the data are gone",
        "  again: cropi seed=1",
        "failed: sys.exit(3)",
        "  again: cropi seed=2",
        "failed: ZeroDivisionError: by zero",
        "  again: cropi seed=3",
    ]


def test_in_another_process_the_launcher_carries_the_failure(
    seen: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pids = itertools.chain([1], itertools.repeat(2))
    monkeypatch.setattr("os.getpid", lambda: next(pids))
    with pytest.raises(SystemExit) as stopped:
        _through_hydra(["seed=1,0", "-m"], ["-m", "seed=1,0"])
    assert stopped.value.code == 1
    assert [cfg.seed for cfg, _ in seen] == [1, 0]


def test_hydras_own_sweep_stops_at_an_interrupt(seen: list[Any]) -> None:
    assert _through_hydra(["seed=0,4,5", "-m"], ["-m", "seed=0,4,5"]) == 130
    assert [cfg.seed for cfg, _ in seen] == [0, 4]


def test_every_job_is_checked_before_the_first_runs(
    seen: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-m", "selector.alpha=0.1,0.2,3"]) == 2
    assert seen == []
    assert "selector.alpha=3: " in capsys.readouterr().err


def test_hydra_flags_pass_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seed=7", "--cfg", "job", "selector=full"]) == 0
    assert "seed: 7" in capsys.readouterr().out
    assert main(["--cfg", "job", "--resolve"]) == 0
    assert "${" not in capsys.readouterr().out
    with pytest.raises(SystemExit) as done:
        main(["--hydra-help"])
    assert done.value.code == 0


def test_info_shows_the_defaults_tree() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cropi", "--info", "defaults-tree"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "selector: cropi" in done.stdout


def test_a_real_interrupt_is_one_line(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a real process: no traceback, exit code 130."""
    code = (
        "import time, cropi.run\n"
        "def slow(*_):\n"
        "    open('started', 'w').close()\n"
        "    time.sleep(60)\n"
        "cropi.run.run_experiment = slow\n"
        "import sys; from cropi.cli import main; sys.exit(main(['seed=5']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "\nstopped; to continue: cropi seed=5\n"
