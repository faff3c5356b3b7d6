"""One piece of work in several spawned processes: all finish, or the first failure stops them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import Any

import torch

from cropi.runtime.errors import CropiError

POLL_SECONDS = 0.2
MOST_TEXT = 10_000  # of a failure; what fits a pipe never waits for its reader


def run_all(
    work: Callable[..., None],
    arguments: Sequence[tuple[Any, ...]],
    poll: Callable[[], None] = lambda: None,
) -> None:
    """``work(*each)`` for each of the arguments, each in a process of its own.

    Tensors among them are shared, not copied. ``poll`` is called now and then. No process outlives
    this call, or this process. Raises CropiError when one fails, with the text of what it raised.
    """
    context = torch.multiprocessing.get_context("spawn")
    failures = context.SimpleQueue()
    running = [
        context.Process(target=_run, args=(work, each, failures), daemon=True)
        for each in arguments
    ]
    try:
        for process in running:
            process.start()
        while (alive := [p.sentinel for p in running if p.exitcode is None]) and not any(
            p.exitcode for p in running
        ):
            wait(alive, POLL_SECONDS)
            poll()
        exits = [process.exitcode for process in running if process.exitcode]
    finally:
        for process in running:
            if process.pid is not None:  # it was started
                process.kill()
                process.join()
    if not failures.empty():
        raise CropiError(f"a scoring process failed: {failures.get()}")
    if exits:
        raise CropiError(
            f"a scoring process ended with exit code {exits[0]}"
            + (" (killed: out of memory?)" if exits[0] == -signal.SIGKILL else "")
            + "; the rows it finished are kept. Start again, with fewer workers if memory is short"
        )


def _run(work: Callable[..., None], arguments: tuple[Any, ...], failures: Any) -> None:
    # An interrupt from the keyboard reaches every process; the parent's own answer is to stop us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(*arguments)
    except CropiError as error:
        failures.put(str(error)[:MOST_TEXT])
        raise SystemExit(1) from error
    except Exception as error:
        failures.put(f"{type(error).__name__}: {error}"[:MOST_TEXT])
        raise


def _end_with_parent() -> None:
    """A killed parent stops nobody, and its next start would write the same rows beside us."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
