"""A worker's side of ``isolation``: one JSON line in, one JSON line out, within limits.

It is forked by the template process, so everything it needs is loaded. The processor time of a
job is counted by the kernel, which ends the process when it is spent: nothing that a job catches,
hides or computes inside one long instruction holds that up.
"""

from __future__ import annotations

import json
import math
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from cropi.verifiers.audit import Audit

OPEN_FILES = 64  # enough to import modules
Function = Callable[[Any], Any]


def serve(connection: socket.socket, function: Function, megabytes: int, audit: Audit) -> None:
    """Answer jobs until the parent closes the connection."""
    _give_up_what_no_job_needs(megabytes)
    sys.addaudithook(audit)
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            seconds, job = json.loads(line)
            connection.sendall(answer_to(function, job, seconds, audit) + b"\n")


def answer_to(function: Function, job: Any, seconds: float, audit: Audit) -> bytes:
    """``{"status": …, "value" or "message": …}`` as JSON, whatever the job does."""
    random.seed(0)  # the jobs before must not change this one's outcome
    try:
        _start_clock(seconds)
        audit.active = True
        try:
            # Writing the value is on the clock too: it may be huge or no JSON.
            reply = json.dumps({"status": "ok", "value": function(job)}, allow_nan=False)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            audit.active = False
    except MemoryError:
        reply = '{"status": "memory"}'
    except BaseException as error:  # noqa: BLE001  the job is hostile; the parent reports it
        reply = _crash(f"{type(error).__name__}: {error}")
    if audit.refused:
        reply = _crash(f"the job tried to use {audit.refused}")
    return reply.encode()


def _crash(message: str) -> str:
    return json.dumps({"status": "crashed", "message": message[:500]})


def _start_clock(seconds: float) -> None:
    """Signals that end the process; one on whole seconds, lest a job disarm the other."""
    latest = math.ceil(time.process_time() + seconds) + 1
    _limit(resource.RLIMIT_CPU, latest, hard=False)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _give_up_what_no_job_needs(megabytes: int) -> None:
    sys.dont_write_bytecode = True
    _limit(resource.RLIMIT_AS, megabytes * 2**20)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_NPROC, 0)


def _limit(kind: int, value: int, *, hard: bool = True) -> None:
    """Lower a limit. Never raises one, and leaves it where the system knows no such limit."""
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        value = min(value, most)
    try:
        resource.setrlimit(kind, (value, value if hard else most))
    except (ValueError, OSError):  # macOS knows some by name only; the other limits remain
        return
