"""One child process that answers JSON lines, and can be killed."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
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


class Process:
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
