"""Several trackers at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from cropi.contracts import RunIdentity, Tracker
from cropi.runtime.parts import part


@part
class Several(Tracker):
    """Passes everything on to each of ``trackers``, in order; each fails for itself alone."""

    trackers: Annotated[dict[str, Tracker], Field(min_length=1)]

    def start(self, run: RunIdentity) -> None:
        for tracker in self.trackers.values():
            tracker.start(run)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for tracker in self.trackers.values():
            tracker.log(step, metrics)

    def finish(self, summary: Mapping[str, float]) -> None:
        for tracker in self.trackers.values():
            tracker.finish(summary)
