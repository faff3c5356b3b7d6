"""What a run shows while it works: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

SECONDS_BETWEEN_LINES = 10.0
log = logging.getLogger("cropi")
Advance = Callable[[int, str], None]  # units done, note


class Display:
    """``with display.stage("training", total=40) as advance: advance(1, "reward 0.4")``."""

    def __init__(self, mode: Literal["auto", "rich", "plain"] = "auto") -> None:
        self.live = mode == "rich" or (mode == "auto" and sys.stderr.isatty())

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Advance]:
        """A named piece of work of ``total`` units; ``advance(units, note)`` reports progress."""
        began = time.perf_counter()
        with (self._bar if self.live else self._lines)(name, total) as advance:
            yield advance
        log.info("%s: done in %s", name, duration(time.perf_counter() - began))

    @contextmanager
    def _bar(self, name: str, total: int) -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(name, total=total, note="")

            def advance(units: int, note: str = "") -> None:
                bars.update(task, advance=units, note=note)

            yield advance

    @contextmanager
    def _lines(self, name: str, total: int) -> Iterator[Advance]:
        began = last = time.perf_counter()
        done = 0

        def advance(units: int, note: str = "") -> None:
            nonlocal done, last
            done += units
            now = time.perf_counter()
            if now - last >= SECONDS_BETWEEN_LINES and done < total:
                last = now
                left = (now - began) / max(done, 1) * (total - done)
                log.info("%s: %d of %d, %s left%s", name, done, total, duration(left),
                         f", {note}" if note else "")

        yield advance


def duration(seconds: float) -> str:
    """``4.2 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
