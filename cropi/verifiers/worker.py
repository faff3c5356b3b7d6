"""The child's side of ``isolation``: one JSON line in, one JSON line out, within limits.

Run as ``python -m cropi.verifiers.worker module:function megabytes``. The module's ``prepare``,
if it has one, is called before the first job. A job that spends its CPU
time is interrupted between two bytecodes if that works, and otherwise killed by the kernel a
moment later. The worker ends when its input does, so it never outlives its parent for long.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any


class OutOfTime(BaseException):
    """Not an Exception: libraries that swallow those must not swallow this."""


class _Clock:
    """CPU time of one job. Remembers that it ran out even if a bare ``except`` hid it."""

    def __init__(self) -> None:
        self.expired = False
        signal.signal(signal.SIGPROF, self._expire)

    def _expire(self, number: int, frame: FrameType | None) -> None:
        self.expired = True
        raise OutOfTime

    def start(self, seconds: float) -> None:
        self.expired = False
        # The kernel counts whole seconds; the first to come is the interrupt below.
        latest = math.ceil(time.process_time() + seconds) + 1
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (latest, most))
        signal.setitimer(signal.ITIMER_PROF, seconds)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)


def answer_to(function: Callable[[Any], Any], job: Any, seconds: float, clock: _Clock) -> Any:
    """``{"status": …, "value" or "message": …}`` for one job, whatever it does."""
    try:
        clock.start(seconds)
        try:
            reply = {"status": "ok", "value": function(job)}
        finally:
            clock.stop()
    except OutOfTime:
        reply = {"status": "timeout"}
    except MemoryError:
        reply = {"status": "memory"}
    except Exception as error:  # noqa: BLE001  the job is hostile; the parent reports it
        reply = {"status": "crashed", "message": f"{type(error).__name__}: {error}"[:500]}
    return {"status": "timeout"} if clock.expired else reply


def main(target: str, megabytes: int) -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not look like a reply
    module, _, name = target.partition(":")
    try:
        home = importlib.import_module(module)
        function = getattr(home, name)
        getattr(home, "prepare", lambda: None)()  # heavy imports are not on a job's clock
    except Exception as error:  # noqa: BLE001  told to the parent, which raises it
        print(json.dumps({"status": "crashed", "message": str(error)}), file=replies, flush=True)
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (megabytes * 2**20, megabytes * 2**20))
    clock = _Clock()
    print(json.dumps({"status": "ok"}), file=replies, flush=True)
    for line in sys.stdin:
        seconds, job = json.loads(line)
        reply = answer_to(function, job, seconds, clock)
        print(json.dumps(reply), file=replies, flush=True)
        if reply["status"] == "memory":
            return  # what is left of the heap is not to be trusted


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
