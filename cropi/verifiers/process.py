"""One slot for jobs: a child that answers JSON lines, killed and replaced when it goes astray."""

from __future__ import annotations

import json
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from cropi.verifiers.nursery import Child, Nursery

REPLY_BYTES = 2**20  # no honest reply comes near
_OUT_OF_TIME = (-signal.SIGPROF, -signal.SIGXCPU)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: ``value`` when it is ok, else why not. ``seconds`` is wall time."""

    status: Literal["ok", "timeout", "memory", "crashed"]
    value: Any = None
    message: str = ""
    seconds: float = 0.0


class Process:
    """Runs one job at a time: ``begin``, then ``advance`` when readable or ``deadline`` is past.

    Only a child whose job went well gets another one.
    """

    def __init__(self, nursery: Nursery, cpu_seconds: float, wall_seconds: float) -> None:
        self._nursery = nursery
        self._cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._child: Child | None = None
        self._line = self._reply = b""
        self._may_repeat = False
        self._is_fresh = False
        self._began = 0.0

    @property
    def connection(self) -> socket.socket:
        assert self._child is not None
        return self._child.socket

    @property
    def deadline(self) -> float:
        """When the present job is stopped at the latest, by ``time.monotonic``."""
        return self._began + self._wall_seconds

    def begin(self, job: Any) -> None:
        """Send a job. Raises CropiError when no child can be had."""
        self._line = json.dumps([self._cpu_seconds, job]).encode() + b"\n"
        self._may_repeat = True
        self._send()

    def advance(self) -> Outcome | None:
        """The outcome, or None while the job goes on. Does not wait."""
        try:
            part = self.connection.recv(65536)
        except BlockingIOError:
            return self._fail("timeout") if time.monotonic() >= self.deadline else None
        except ConnectionError:
            part = b""
        if not part:
            return self._fail_without_reply()
        self._reply += part
        if len(self._reply) > REPLY_BYTES:
            return self._fail("crashed", "its reply is too long")
        return self._judge() if b"\n" in part else None

    def stop(self) -> int | None:
        """Kill and reap the child; its exit code, None when that is unknown."""
        child, self._child = self._child, None
        return self._nursery.reap(child) if child else None

    def abandon(self) -> None:
        """In a forked copy: let go of a child that belongs to the process forked from."""
        if self._child is not None:
            self._child.socket.close()

    def _send(self) -> None:
        self._is_fresh = not self._is_idle()
        if self._is_fresh:
            self.stop()
            self._child = self._nursery.fork()
        self._reply = b""
        self._began = time.monotonic()
        self.connection.settimeout(self._wall_seconds)
        with suppress(OSError):  # it died or reads nothing: advance() finds out
            self.connection.sendall(self._line)
        self.connection.setblocking(False)

    def _is_idle(self) -> bool:
        """Whether there is a child that is alive and has nothing to say."""
        if self._child is None:
            return False
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except OSError as error:  # nothing to read is as it should be; all else means it is dead
            return isinstance(error, BlockingIOError)
        return False

    def _judge(self) -> Outcome | None:
        try:
            reply = json.loads(self._reply, parse_constant=_refuse)
            status, message = reply["status"], str(reply.get("message", ""))
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return self._fail("crashed", "its reply is no JSON of ours")
        if status == "ok":
            return Outcome("ok", reply.get("value"), "", self._seconds())
        if status == "memory":
            # Jobs before may have left little room: what counts is a fresh child's word.
            if self._is_fresh:
                return self._fail("memory")
            self._repeat()
            return None
        printable = message[:500].encode(errors="replace").decode()  # may quote half a character
        return self._fail("crashed", printable)

    def _fail_without_reply(self) -> Outcome | None:
        seconds = self._seconds()
        if self.stop() in _OUT_OF_TIME:
            return Outcome("timeout", seconds=seconds)
        if self._may_repeat:  # killed from outside? a job that kills its child does so again
            self._repeat()
            return None
        return Outcome("crashed", message="its process died", seconds=seconds)

    def _repeat(self) -> None:
        self.stop()
        self._may_repeat = False
        self._send()

    def _fail(self, status: Literal["timeout", "memory", "crashed"], message: str = "") -> Outcome:
        seconds = self._seconds()
        self.stop()
        return Outcome(status, message=message, seconds=seconds)

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
