"""Run a function in worker processes that can be stopped, whatever the input does to it.

Signal-based timeouts work on the main thread only and do not stop arithmetic on huge integers;
queues and pools let one stuck job spoil the jobs behind it. Here each slot is one child process,
started when first needed by ``exec`` (never a bare fork: torch has threads), fed one JSON line at
a time. Its clock starts when its job does. A child that is stuck or dead is killed and replaced.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cropi.verifiers.process import Outcome, Process


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
        self._processes = [Process(function, megabytes) for _ in range(slots)]
        # Last in, first out: a single caller keeps to one warm process.
        self._free: queue.LifoQueue[Process] = queue.LifoQueue()
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


def _stop_all(processes: Sequence[Process]) -> None:
    for process in processes:
        process.stop()
