"""What every tracker that speaks to an outside system shares: its failures never stop a run."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from importlib.util import find_spec

from cropi.contracts import RunIdentity, Tracker

logger = logging.getLogger(__name__)


class Mirror(Tracker):
    """A tracker that goes silent after its first failure, having warned once.

    The metrics file has everything anyway. A run that was opened is closed even after a failed
    ``write``, so that what had arrived is kept.
    """

    _opened = False
    _failed = False

    @abstractmethod
    def open(self, run: RunIdentity) -> None:
        """Find or make the run. May raise anything."""

    @abstractmethod
    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add one record. May raise anything."""

    @abstractmethod
    def close(self, summary: Mapping[str, float]) -> None:
        """Close the run. May raise anything."""

    def start(self, run: RunIdentity) -> None:
        self._failed = False
        self._opened = self._attempt("start", lambda: self.open(run))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._opened and not self._failed:
            self._attempt("log", lambda: self.write(step, metrics))

    def finish(self, summary: Mapping[str, float]) -> None:
        if self._opened:
            self._opened = False
            self._attempt("finish", lambda: self.close(summary))

    def _attempt(self, what: str, action: Callable[[], None]) -> bool:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - an outside system may fail in any way
            if not self._failed:
                self._failed = True
                logger.warning(
                    "%s could not %s (%s: %s); the run goes on without it, metrics.jsonl has all",
                    type(self).__name__, what, type(error).__name__, error,
                )
            return False
        return True


def require(package: str, extra: str) -> None:
    """Raise ValueError with the line that installs ``package`` when it is missing."""
    if find_spec(package) is None:
        raise ValueError(f"needs the package {package}: pip install 'cropi[{extra}]'")
