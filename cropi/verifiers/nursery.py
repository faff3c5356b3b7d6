"""Where workers come from: the parent's hold on the template process that forks them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass

from cropi.runtime.errors import CropiError

STARTUP_SECONDS = 300.0  # imports only; generous, since the machine may be busy
ANSWER_SECONDS = 60.0  # a fork or a kill: milliseconds, but for a machine that swaps
END_SECONDS = 10.0  # to kill and reap the workers
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Child:
    """A worker: its process id, a socket to it, and the template that forked it."""

    pid: int
    socket: socket.socket
    template: subprocess.Popen[bytes]


class Nursery:
    """Starts the template process when first needed, by ``exec``, and again when it died.

    The template leads a process group of its own: Ctrl-C does not reach it, and its workers can
    be killed with it even when it is dead. Callable from any thread.
    """

    def __init__(self, function: str, megabytes: int) -> None:
        self._function = function
        self._megabytes = megabytes
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._template: subprocess.Popen[bytes] | None = None

    def fork(self) -> Child:
        """A fresh worker. Raises CropiError when there can be none."""
        with self._lock:
            for _ in range(2):  # the template may have died since it was last used
                if self._template is None:
                    self._start()
                text, descriptors = self._ask(b"fork")
                if descriptors and self._template is not None:
                    connection = socket.socket(fileno=descriptors[0])
                    connection.set_inheritable(False)
                    return Child(int(text), connection, self._template)
        raise CropiError(f"no verifier process for {self._function} could be forked")

    def reap(self, child: Child) -> int | None:
        """Kill a worker and wait for its end. Its exit code, None if its template is dead."""
        child.socket.close()
        with self._lock:
            if child.template is not self._template:
                return None
            text, _ = self._ask(f"stop {child.pid}".encode())
            return int(text) if text else None

    def stop(self) -> None:
        """End the template and all its workers, and wait for that."""
        with self._lock:
            self._end()

    def abandon(self) -> None:
        """In a forked copy: let go of a template that belongs to the process forked from."""
        if self._control is not None:
            self._control.close()
        if self._template is not None:
            self._template.returncode = 0  # not ours to wait for
        self._control = self._template = None

    def _ask(self, request: bytes) -> tuple[bytes, list[int]]:
        """The answer; nothing, and the template is ended, when it gives none."""
        assert self._control is not None
        text: bytes = b""
        descriptors: list[int] = []
        try:
            with suppress(OSError):  # it is dead or stuck
                self._control.sendall(request)
                text, descriptors, _, _ = socket.recv_fds(self._control, 64, 1, _CLOSE_ON_EXEC)
        finally:
            if not text:  # interrupted too: the answer would be taken for the next one's
                self._end()
        return text, descriptors

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        started = False
        try:
            with theirs:
                self._template = subprocess.Popen(
                    [sys.executable, "-P", "-m", "cropi.verifiers.template",
                     self._function, str(self._megabytes)],
                    stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    env=_environment(), process_group=0,
                )
            self._control.settimeout(STARTUP_SECONDS)
            ready = self._control.recv(4096)
            self._control.settimeout(ANSWER_SECONDS)
            answer = json.loads(ready or '{"status": "crashed", "message": "it ended at once"}')
            started = answer["status"] == "ok"
        finally:
            if not started:
                self._end(patience=0)
        if not started:
            raise CropiError(
                f"a verifier process for {self._function} did not start: {answer['message']}"
            )

    def _end(self, patience: float = END_SECONDS) -> None:
        control, self._control = self._control, None
        template, self._template = self._template, None
        if control is not None:
            control.settimeout(patience)
            with control, suppress(OSError):  # dead already, or stuck
                control.shutdown(socket.SHUT_WR)  # it kills and reaps its workers, and ends,
                while control.recv(64):  # which closes its end
                    pass
        if template is not None:
            # Not waited for yet, so the group's number cannot be another's.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(template.pid, signal.SIGKILL)
            template.wait()


def _environment() -> dict[str, str]:
    """Our import path and fixed hashing, but no credentials: workers read hostile text."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path),
        "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1",
    }
