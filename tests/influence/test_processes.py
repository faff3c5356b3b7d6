"""Work in several processes: whole, or stopped by its first failure, and never left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from cropi.influence.processes import run_all
from cropi.runtime.errors import CropiError


def fails_or_waits(kind: str, folder: Path, shared: torch.Tensor) -> None:
    """In a spawned process. The tensor is the parent's own memory."""
    shared[0] += 1.0
    if kind == "ends":
        return
    (folder / f"{kind}-{os.getpid()}").touch()
    if kind == "raises":
        raise ValueError("seventeen " + "and so on " * 100_000)
    time.sleep(300)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A killed process whose parent is gone may wait to be collected.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def pids(folder: Path) -> list[int]:
    return [int(path.name.split("-")[1]) for path in folder.iterdir()]


def test_all_finish_and_tensors_are_shared(tmp_path: Path) -> None:
    seen, polls = torch.zeros(1), []
    run_all(fails_or_waits, [("ends", tmp_path, seen)] * 2, lambda: polls.append(1))
    assert 1.0 <= float(seen) <= 2.0  # the two may write at once
    assert polls


def test_a_failure_stops_the_others_and_is_told(tmp_path: Path) -> None:
    shared = torch.zeros(1)
    with pytest.raises(CropiError, match="failed: ValueError: seventeen and so on") as caught:
        run_all(fails_or_waits, [("raises", tmp_path, shared), ("waits", tmp_path, shared)])
    assert len(str(caught.value)) < 11_000
    assert not any(map(is_running, pids(tmp_path)))


def test_an_interrupt_leaves_nobody_behind(tmp_path: Path) -> None:
    def interrupted() -> None:
        if pids(tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(fails_or_waits, [("waits", tmp_path, torch.zeros(1))], interrupted)
    assert not any(map(is_running, pids(tmp_path)))


def test_a_killed_parent_takes_them_along(tmp_path: Path) -> None:
    """Else its next start would write the same rows as they."""

    def parent() -> None:
        run_all(fails_or_waits, [("waits", tmp_path, torch.zeros(1))])

    process = multiprocessing.get_context("fork").Process(target=parent)
    process.start()
    deadline = time.monotonic() + 60
    while not pids(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    (left,) = pids(tmp_path)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while is_running(left) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(left)
