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
            reply = _exchange(child, line, began + wall_seconds)
        except TimeoutError:
            self.stop()
            return Outcome("timeout", seconds=time.monotonic() - began)
        except BaseException:
            self.stop()  # half a reply may be in the pipe
            raise
        seconds = time.monotonic() - began
        if reply is None:
            killed_by_clock = self.stop() == -signal.SIGXCPU
            return Outcome("timeout", seconds=seconds) if killed_by_clock else None
        if reply["status"] == "memory":
            self.stop()
        return Outcome(reply["status"], reply.get("value"), reply.get("message", ""), seconds)

    def _started(self) -> subprocess.Popen[bytes]:
        """The running child; its pipes belong to the process that started it, not to a fork."""
        if self._child and self._owner == os.getpid() and self._child.poll() is None:
            return self._child
        self.stop()
        self._owner = os.getpid()
        self._child = child = subprocess.Popen(
            [sys.executable, "-P", "-m", "cropi.verifiers.worker",
             self._function, str(self._megabytes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            bufsize=0, env=_environment(),
            process_group=0,  # Ctrl-C is for the parent, which then stops its children
        )
        try:
            ready = _exchange(child, b"", time.monotonic() + STARTUP_SECONDS)
        except BaseException:
            self.stop()
            raise
        if ready is None or ready["status"] != "ok":
            self.stop()
            reason = ready["message"] if ready else "it ended at once"
            raise CropiError(f"a verifier process for {self._function} did not start: {reason}")
        return child

    def stop(self) -> int | None:
        """Kill and reap the child; its exit code, or None when there was none of ours."""
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return None
        child.kill()
        code = child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        return code


def _exchange(child: subprocess.Popen[bytes], line: bytes, deadline: float) -> Any:
    """Send a line, wait for one. None when the child died; TimeoutError at the deadline."""
    assert child.stdin is not None
    assert child.stdout is not None
    reply = b""
    with selectors.DefaultSelector() as ready:
        ready.register(child.stdout, selectors.EVENT_READ)
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[child.stdin.write(rest) :]
        except BrokenPipeError:
            return None
        while not reply.endswith(b"\n"):
            if not ready.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            part = os.read(child.stdout.fileno(), 65536)
            if not part:
                return None
            reply += part
    return json.loads(reply)


def _environment() -> dict[str, str]:
    """Our import path and fixed hashing, but no credentials: the child reads hostile text."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path),
        "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1",
    }


def _stop_all(processes: Sequence[_Process]) -> None:
    for process in processes:
        process.stop()
