"""Run a function in worker processes that can be stopped, whatever the input does to it.

Signal-based timeouts work on the main thread only and do not stop arithmetic on huge integers;
queues and pools let one stuck job spoil the jobs behind it. Here each slot is one child process,
started when first needed by ``exec`` (never a bare fork: torch has threads), fed one JSON line at
a time. Its clock starts when its job does. A child that is stuck or dead is killed and replaced.
"""

from __future__ import annotations

import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from cropi.runtime.errors import CropiError

STARTUP_SECONDS = 300.0  # imports only; generous, since the machine may be busy


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: ``value`` when it is ok, else why not. ``seconds`` is wall time."""

    status: Literal["ok", "timeout", "memory", "crashed"]
    value: Any = None
    message: str = ""
    seconds: float = 0.0


class Workers:
    """``slots`` killable processes that run ``function``, named as ``"module:name"``.

    A job and its value are JSON. Each job may spend ``cpu_seconds`` of processor time (so that
    a busy machine changes no outcome) and must end within ``wall_seconds``. Callable from any
    thread.
    """

    def __init__(
        self,
        function: str,
        *,
        slots: int,
        cpu_seconds: float,
        wall_seconds: float,
        megabytes: int,
    ) -> None:
        self._limits = (cpu_seconds, wall_seconds)
        self._processes = [_Process(function, megabytes) for _ in range(slots)]
        # Last in, first out: a single caller keeps to one warm process.
        self._free: queue.LifoQueue[_Process] = queue.LifoQueue()
        for process in self._processes:
            self._free.put(process)
        self._closing = threading.Lock()
        weakref.finalize(self, _stop_all, self._processes)

    def run(self, jobs: Sequence[Any]) -> list[Outcome]:
        """One outcome a job, in order. Raises CropiError when a worker cannot start."""
        if len(jobs) < 2:
            return [self._run_one(job) for job in jobs]
        pool = ThreadPoolExecutor(min(len(jobs), len(self._processes)))
        try:
            return list(pool.map(self._run_one, jobs))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Stop the processes once their present jobs end; ``run`` starts new ones if called."""
        with self._closing:
            held = [self._free.get() for _ in self._processes]
            _stop_all(held)
            for process in held:
                self._free.put(process)

    def _run_one(self, job: Any) -> Outcome:
        process = self._free.get()
        try:
            return process.run(job, *self._limits)
        finally:
            self._free.put(process)


class _Process:
    """One child process, started lazily and replaced when it cannot go on."""

    def __init__(self, function: str, megabytes: int) -> None:
        self._function = function
        self._megabytes = megabytes
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def run(self, job: Any, cpu_seconds: float, wall_seconds: float) -> Outcome:
        line = json.dumps([cpu_seconds, job]).encode() + b"\n"
        outcome = self._attempt(line, wall_seconds)
        # A child may have been killed from outside; a job that kills it does so again.
        return outcome or self._attempt(line, wall_seconds) or Outcome("crashed", message="died")

    def _attempt(self, line: bytes, wall_seconds: float) -> Outcome | None:
        """None when the child died without a reply."""
        child = self._started()
        began = time.monotonic()
        try:
            reply = _exchange(child, line, wall_seconds)
        except BaseException:
            self.stop()  # half a reply may be in the pipe
            raise
        seconds = time.monotonic() - began
        if reply is None or reply["status"] == "memory":
            code = self.stop()
            if reply is None:
                return Outcome("timeout", seconds=seconds) if code == -signal.SIGXCPU else None
        if reply["status"] == "timeout" and seconds >= wall_seconds:
            self.stop()
        return Outcome(
            reply["status"], reply.get("value"), reply.get("message", ""), seconds
        )

    def _started(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def stop(self) -> int | None:
        raise NotImplementedError


def _exchange(child: subprocess.Popen[bytes], line: bytes, seconds: float) -> Any:
    raise NotImplementedError


def _stop_all(processes: Sequence[_Process]) -> None:
    for process in processes:
        process.stop()
