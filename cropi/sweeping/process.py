"""One job in a process of its own, and what its end means."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cropi.run import FAILURE, LOG
from cropi.runtime.files import read_json, write_json
from cropi.sweeping.jobs import FrozenJob

BUSY = 75  # the exit code of a job whose run another process holds
INTERRUPTED = (-signal.SIGINT, 130)
CONSOLE = "console.txt"
GRACE_SECONDS = 30.0  # for jobs to stop by themselves
COMMAND = (sys.executable, "-m", "cropi.job")


@dataclass
class JobProcess:
    """A job that was started. ``outcome`` is where it says why it failed."""

    job: FrozenJob
    outcome: Path
    process: subprocess.Popen[bytes]
    began: float

    @classmethod
    def start(
        cls,
        job: FrozenJob,
        path: Path,
        outcome: Path,
        *,
        environment: Mapping[str, str],
        console: bool,
        command: Sequence[str] = COMMAND,
    ) -> JobProcess:
        """Start the job frozen in ``path``. With ``console`` what it prints goes to a file."""
        folder = Path(job.folder)
        outcome.unlink(missing_ok=True)
        (folder / FAILURE).unlink(missing_ok=True)
        with contextlib.ExitStack() as stack:
            output = None
            if console:
                folder.mkdir(parents=True, exist_ok=True)
                output = stack.enter_context((folder / CONSOLE).open("ab"))
            process = subprocess.Popen(
                [*command, str(path), str(outcome)], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, env={**os.environ, **environment},
            )  # fmt: skip
        return cls(job, outcome, process, time.monotonic())

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self.process.poll()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def error(self) -> str:
        """What the job said of its end, or what its exit code says."""
        code = self.process.returncode
        if self.outcome.exists():
            return str(read_json(self.outcome)["error"])
        if code < 0:
            name = signal.Signals(-code).name
            return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
        return f"exit code {code}"

    def record(self, attempts: int) -> None:
        """The failure beside the run, so that tables show it without this sweep."""
        code = self.process.returncode
        write_json(Path(self.job.folder) / FAILURE, {
            "error": self.error(),
            "exit": code if code >= 0 else None,
            "signal": signal.Signals(-code).name if code < 0 else None,
            "log": str(log_of(self.job)),
            "command": command_of(self.job),
            "attempts": attempts,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "choices": dict(self.job.choices),
            "config": dict(self.job.config),
        })


def stop(processes: Sequence[JobProcess]) -> None:
    """Ask every job to stop and wait for it: a checkpoint may be being written."""
    for each in processes:
        with contextlib.suppress(ProcessLookupError):
            each.process.send_signal(signal.SIGINT)
    until = time.monotonic() + GRACE_SECONDS
    for each in processes:
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            each.process.wait(max(0.1, until - time.monotonic()))
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def log_of(job: FrozenJob) -> Path:
    """The file that tells most of what a job did."""
    console, log = (Path(job.folder) / name for name in (CONSOLE, LOG))
    return console if console.exists() else log


def command_of(job: FrozenJob) -> str:
    """What to type to run this job alone."""
    return shlex.join(["cropi", *job.flags, *job.overrides])
