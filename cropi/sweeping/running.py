"""Running the jobs of a sweep, each in a process of its own.

Random generators, memory, GPUs and trackers are then never shared, and a job that raises, exits
or is killed is one job less. A run that another process works on is waited for, not fought over.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cropi.runtime.locks import is_held
from cropi.settings import Jobs
from cropi.sweeping.jobs import Sweep
from cropi.sweeping.planning import differences, state_of
from cropi.sweeping.process import BUSY, COMMAND, INTERRUPTED, JobProcess, stop
from cropi.sweeping.slots import gpu_count, places, slots_of

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Ending:
    """How a job ended. ``skipped`` was not started, since an earlier one failed."""

    number: int
    status: Literal["finished", "done before", "failed", "skipped"]
    error: str = ""
    seconds: float = 0.0


class Runner:
    """Runs what is missing of a sweep, at most ``options.slots`` at a time.

    ``tell`` gets one line for everything that happens. ``command`` is what starts a job, given
    its file and the file for its outcome.
    """

    def __init__(
        self,
        sweep: Sweep,
        options: Jobs,
        tell: Callable[[str], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._command = command
        self._sweep = sweep
        self._options = options
        self._tell = tell
        self._places = places(slots_of(options), gpu_count(), os.cpu_count() or 1)
        self._attempts = [0] * len(sweep.jobs)
        self._endings: dict[int, Ending] = {}
        self._running: dict[int, tuple[int, JobProcess]] = {}  # slot -> number, process
        self._differs = differences(sweep.jobs)

    def run(self) -> list[Ending]:
        """Every job's ending, in order. On KeyboardInterrupt the jobs are stopped first."""
        waiting = deque(range(len(self._sweep.jobs)))
        try:
            while waiting or self._running:
                self._fill(waiting)
                time.sleep(POLL_SECONDS)
                for slot in [s for s, (_, p) in self._running.items() if p.code is not None]:
                    self._ended(*self._running.pop(slot), waiting)
        except BaseException:
            stop([process for _, process in self._running.values()])
            raise
        return [self._endings[number] for number in range(len(self._sweep.jobs))]

    def _fill(self, waiting: deque[int]) -> None:
        """Give the free slots to jobs that no other process works on."""
        for _ in range(len(waiting)):
            free = [slot for slot in range(len(self._places)) if slot not in self._running]
            if not free:
                return
            number = waiting.popleft()
            job = self._sweep.jobs[number]
            if state_of(job) == "finished":
                self._endings[number] = Ending(number, "done before")
            elif is_held(Path(job.folder)):
                waiting.append(number)
            else:
                self._running[free[0]] = number, self._start(number, free[0])

    def _start(self, number: int, slot: int) -> JobProcess:
        self._attempts[number] += 1
        self._tell(f"{self._label(number)} started")
        return JobProcess.start(
            self._sweep.jobs[number],
            self._sweep.path(number),
            self._sweep.outcome(number),
            environment={"CROPI_SWEEP": self._sweep.name, **self._places[slot]},
            # One job at a time writes where the sweep does; several would write over each other.
            console=len(self._places) > 1,
            command=self._command,
        )

    def _ended(self, number: int, process: JobProcess, waiting: deque[int]) -> None:
        code, seconds = process.code, process.seconds
        if code in INTERRUPTED:
            raise KeyboardInterrupt
        if code == BUSY:
            self._attempts[number] -= 1
            waiting.append(number)
        elif code == 0:
            self._endings[number] = Ending(number, "finished", seconds=seconds)
            self._tell(f"{self._label(number)} finished in {_duration(seconds)}")
        elif self._options.on_error == "retry" and self._attempts[number] <= self._options.retries:
            self._tell(f"{self._label(number)} failed and is tried again: {process.error()}")
            waiting.append(number)
        else:
            process.record(self._attempts[number])
            self._endings[number] = Ending(number, "failed", process.error(), seconds)
            self._tell(f"{self._label(number)} failed: {process.error()}")
            if self._options.on_error == "stop":
                self._skip(waiting)

    def _skip(self, waiting: deque[int]) -> None:
        while waiting:
            number = waiting.popleft()
            done = state_of(self._sweep.jobs[number]) == "finished"
            self._endings[number] = Ending(number, "done before" if done else "skipped")

    def _label(self, number: int) -> str:
        said = " ".join(f"{key}={value}" for key, value in self._differs[number].items())
        return f"[{number + 1}/{len(self._sweep.jobs)}] {said or self._sweep.jobs[number].name}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
