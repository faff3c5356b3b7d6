"""Trackio: a local SQLite file and dashboard that need no account."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout

from cropi.contracts import RunIdentity
from cropi.runtime.parts import part
from cropi.tracking.mirror import Mirror, require


@part
class Trackio(Mirror):
    """One Trackio run a run, named by its id so that a resumed run finds itself again.

    The file lies where Trackio keeps its projects (environment variable TRACKIO_DIR), so that
    ``trackio show --project <project>`` finds all runs.
    """

    project: str = "cropi"

    def __post_init__(self) -> None:
        require("trackio", "trackio")

    def open(self, run: RunIdentity) -> None:
        with redirect_stdout(io.StringIO()):  # it prints how to start its dashboard
            import trackio

            self._run = trackio.init(
                project=self.project,
                name=run.run_id,
                config=dict(run.config),
                resume="allow",
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def close(self, summary: Mapping[str, float]) -> None:
        import trackio

        with redirect_stdout(io.StringIO()):
            trackio.finish()  # the run's own finish() would be called once more at exit
