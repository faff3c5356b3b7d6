"""How many jobs run at once, and which part of the machine each gets."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from cropi.settings import Jobs
from cropi.sweeping.jobs import FrozenJob
from cropi.sweeping.process import COMMAND, INTERRUPTED, JobProcess, stop

POLL_SECONDS = 0.2

Key = TypeVar("Key")


class Slots(Generic[Key]):
    """The jobs that run now, one a slot, each under the caller's ``Key``.

    A context: what still runs at its end, because of an interrupt or an error, is stopped.
    ``name`` is the sweep's or search's, ``command`` what starts a job.
    """

    def __init__(self, options: Jobs, name: str, command: Sequence[str] = COMMAND) -> None:
        self._places = places(slots_of(options), gpu_count(), os.cpu_count() or 1)
        self._name = name
        self._command = command
        self._running: dict[int, tuple[Key, JobProcess]] = {}  # slot -> key, process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stop([process for _, process in self._running.values()])
        self._running.clear()

    def __len__(self) -> int:
        return len(self._running)

    @property
    def full(self) -> bool:
        return len(self._running) == len(self._places)

    def start(self, key: Key, job: FrozenJob, path: Path, outcome: Path) -> None:
        """Run the job frozen in ``path`` in a free slot."""
        slot = next(n for n in range(len(self._places)) if n not in self._running)
        process = JobProcess.start(
            job, path, outcome,
            environment={"CROPI_SWEEP": self._name, **self._places[slot]},
            # One job at a time writes where the sweep does; several would write over each other.
            console=len(self._places) > 1,
            command=self._command,
        )  # fmt: skip
        self._running[slot] = key, process

    def ended(self) -> list[tuple[Key, JobProcess]]:
        """Wait a moment, then hand over what has ended. An interrupted job interrupts us too."""
        time.sleep(POLL_SECONDS)
        over = [slot for slot, (_, process) in self._running.items() if process.code is not None]
        found = [self._running.pop(slot) for slot in over]
        if any(process.code in INTERRUPTED for _, process in found):
            raise KeyboardInterrupt
        return found


def slots_of(options: Jobs) -> int:
    """``auto`` is one a GPU, else one."""
    return max(1, gpu_count()) if options.slots == "auto" else options.slots


def gpu_count() -> int:
    """GPUs that this process may use, without loading what could use them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def places(slots: int, gpus: int, cores: int) -> list[Mapping[str, str]]:
    """The environment of each slot: its own GPU where there are enough, its share of the cores."""
    if slots == 1:
        return [{}]
    found: list[Mapping[str, str]] = []
    for slot in range(slots):
        threads = {} if "OMP_NUM_THREADS" in os.environ else {
            "OMP_NUM_THREADS": str(max(1, cores // slots))
        }
        found.append({**threads, **({"CUDA_VISIBLE_DEVICES": str(slot % gpus)} if gpus else {})})
    return found
