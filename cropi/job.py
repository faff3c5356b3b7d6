"""One frozen job of a sweep in a process of its own: ``python -m cropi.job JOB.json OUTCOME.json``.

No Hydra here: everything was composed and checked when the sweep was planned.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cropi.outcome import conduct, log_to_console, user_modules_are_importable
from cropi.runtime.errors import RunBusyError
from cropi.runtime.files import write_json
from cropi.sweeping.process import BUSY

FAILED, INTERRUPTED = 1, 130


def main(path: Path, outcome_path: Path) -> int:
    """Run the job; the exit code. Why it failed is written to ``outcome_path``."""
    from cropi.sweeping.jobs import FrozenJob, config_of

    user_modules_are_importable()
    log_to_console()
    job = FrozenJob.read(path)
    try:
        outcome, error = conduct(config_of(job), job.choices, job.overrides)
    except KeyboardInterrupt:
        return INTERRUPTED
    if isinstance(error, RunBusyError):
        return BUSY
    if error is not None:
        write_json(outcome_path, {"error": outcome.error})
        return FAILED
    write_json(outcome_path, {"study": None if outcome.study is None else str(outcome.study)})
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
