"""Run a function in worker processes that can be stopped, whatever the input does to it.

Signal-based timeouts work on the main thread only and do not stop arithmetic on huge integers;
queues and pools let one stuck job spoil the jobs behind it. Here each slot is one child process,
fed one JSON line at a time, whose clock starts when its job does. Children are forked in
milliseconds from a template process that has everything loaded (``nursery``), never from this
process, which may have threads; one that is stuck or dead is killed and replaced at once.
"""

from __future__ import annotations

import os
import selectors
import time
import weakref
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from cropi.verifiers.nursery import Nursery
from cropi.verifiers.process import Outcome, Process
from cropi.verifiers.slots import Slots


class Workers:
    """``slots`` killable processes that run ``function``, named as ``"module:name"``.

    A job and its value are JSON. Each job may spend ``cpu_seconds`` of processor time (so that
    a busy machine changes no outcome) and must end within ``wall_seconds``. Callable from any
    thread; a forked or unpickled copy starts processes of its own.
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
        self._again = partial(
            Workers, function, slots=slots, cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds, megabytes=megabytes,
        )
        self._open = partial(_Pool, function, slots, cpu_seconds, wall_seconds, megabytes)
        self._pool = self._open()
        self._at_the_end = weakref.finalize(self, self._pool.nursery.stop)
        _EVERY.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._again, ()

    def run(self, jobs: Sequence[Any]) -> list[Outcome]:
        """One outcome a job, in order. Raises CropiError when a worker cannot start."""
        return self._pool.run(jobs)

    def close(self) -> None:
        """Stop the processes once their present jobs end; ``run`` starts new ones if called."""
        self._pool.close()

    def start_over(self) -> None:
        """In a forked copy: leave processes and locks to the process forked from."""
        self._at_the_end.detach()
        self._pool.abandon()
        self._pool = self._open()
        self._at_the_end = weakref.finalize(self, self._pool.nursery.stop)


class _Pool:
    """The processes of ``Workers`` in one process of ours."""

    def __init__(
        self, function: str, slots: int, cpu_seconds: float, wall_seconds: float, megabytes: int
    ) -> None:
        self.nursery = Nursery(function, megabytes)
        self._processes = [Process(self.nursery, cpu_seconds, wall_seconds) for _ in range(slots)]
        self._slots = Slots(self._processes)

    def run(self, jobs: Sequence[Any]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        running: dict[Process, int] = {}
        waiting = deque(enumerate(jobs))
        try:
            while waiting or running:
                self._begin(waiting, running)
                _wait(running)
                for process in list(running):
                    if outcome := process.advance():
                        outcomes[running.pop(process)] = outcome
                        self._slots.give_back(process)
        finally:
            self._slots.take_away(running)  # what an error or Ctrl-C left
        return [outcomes[index] for index in range(len(jobs))]

    def close(self) -> None:
        with self._slots.all_free():
            self.nursery.stop()
            for process in self._processes:
                process.stop()

    def abandon(self) -> None:
        self.nursery.abandon()
        for process in self._processes:
            process.abandon()

    def _begin(self, waiting: deque[tuple[int, Any]], running: dict[Process, int]) -> None:
        """Give jobs to free processes. Waits for one only when none is at work for us."""
        while waiting and (process := self._slots.take(running, wait=not running)):
            running[process], job = waiting.popleft()
            process.begin(job)


def _wait(running: Iterable[Process]) -> None:
    """Until a process has something to say or is out of time."""
    earliest = min(process.deadline for process in running)
    with selectors.DefaultSelector() as ready:
        for process in running:
            ready.register(process.connection, selectors.EVENT_READ)
        ready.select(max(0.0, earliest - time.monotonic()))


_EVERY: weakref.WeakSet[Workers] = weakref.WeakSet()


def _start_over() -> None:
    for workers in list(_EVERY):
        workers.start_over()


os.register_at_fork(after_in_child=_start_over)
