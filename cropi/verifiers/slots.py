"""Which caller holds which process: first come, first served."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cropi.verifiers.process import Process


class Slots:
    """Lends processes to callers in any number of threads. A caller is any object."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes
        self._holders: dict[Process, object] = {}
        self._queue: list[object] = []
        self._changed = threading.Condition()

    def take(self, caller: object, *, wait: bool) -> Process | None:
        """A free process; always the same one for a lone caller, so that it stays warm.

        Without ``wait``, None when all are lent or somebody else has been waiting for one.
        """
        with self._changed:
            if not wait and (self._queue or not self._free()):
                return None
            self._queue.append(caller)
            try:
                self._changed.wait_for(lambda: self._queue[0] is caller and self._free())
                process = self._free()[0]
                self._holders[process] = caller
                return process
            finally:
                self._queue.remove(caller)
                self._changed.notify_all()

    def give_back(self, process: Process) -> None:
        with self._changed:
            self._holders.pop(process, None)
            self._changed.notify_all()

    def take_away(self, caller: object) -> None:
        """Stop and free whatever a caller still holds, at whatever point it was interrupted."""
        with self._changed:
            held = [process for process, holder in self._holders.items() if holder is caller]
        for process in held:
            process.stop()
            self.give_back(process)

    @contextmanager
    def all_free(self) -> Iterator[None]:
        """Wait until nothing is lent, and lend nothing meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._holders)
            yield

    def _free(self) -> list[Process]:
        return [process for process in self._processes if process not in self._holders]
