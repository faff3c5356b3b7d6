"""No tracker: only the metrics file."""

from __future__ import annotations

from collections.abc import Mapping

from cropi.contracts import RunIdentity, Tracker
from cropi.runtime.parts import part


@part
class NoTracker(Tracker):
    """Mirrors nothing."""

    def start(self, run: RunIdentity) -> None:
        pass

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        pass

    def finish(self, summary: Mapping[str, float]) -> None:
        pass
