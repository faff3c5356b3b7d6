"""Running the jobs of a sweep, each in a process of its own.

Random generators, memory, GPUs and trackers are then never shared, and a job that raises, exits
or is killed is one job less. A run that another process works on is waited for, not fought over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cropi.runtime.locks import is_held
from cropi.settings import Jobs
from cropi.sweeping.jobs import Sweep
from cropi.sweeping.planning import differences, state_of
from cropi.sweeping.process import BUSY, COMMAND, JobProcess
from cropi.sweeping.slots import Slots


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
        self._sweep = sweep
        self._options = options
        self._tell = tell
        self._slots: Slots[int] = Slots(options, sweep.name, command)
        self._attempts = [0] * len(sweep.jobs)
        self._endings: dict[int, Ending] = {}
        self._differs = differences(sweep.jobs)

    def run(self) -> list[Ending]:
        """Every job's ending, in order. On KeyboardInterrupt the jobs are stopped first."""
        waiting = deque(range(len(self._sweep.jobs)))
        with self._slots as slots:
            while waiting or slots:
                self._fill(waiting)
                for number, process in slots.ended():
                    self._ended(number, process, waiting)
        return [self._endings[number] for number in range(len(self._sweep.jobs))]

    def _fill(self, waiting: deque[int]) -> None:
        """Give the free slots to jobs that no other process works on."""
        for _ in range(len(waiting)):
            if self._slots.full:
                return
            number = waiting.popleft()
            job = self._sweep.jobs[number]
            if state_of(job) == "finished":
                self._endings[number] = Ending(number, "done before")
            elif is_held(Path(job.folder)):
                waiting.append(number)
            else:
                self._attempts[number] += 1
                self._tell(f"{self._label(number)} started")
                path, outcome = self._sweep.path(number), self._sweep.outcome(number)
                self._slots.start(number, job, path, outcome)

    def _ended(self, number: int, process: JobProcess, waiting: deque[int]) -> None:
        code, seconds = process.code, process.seconds
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
