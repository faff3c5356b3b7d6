"""``metrics.jsonl``: one line a record, always written, the source of truth for every report."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from cropi.runtime.errors import CropiError, DataError

FILE_NAME = "metrics.jsonl"
Kind = Literal["train", "evaluation", "selection", "rollouts"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """One line: what was measured after ``step`` optimizer steps, in which phase."""

    step: int
    phase: int
    kind: Kind
    metrics: Mapping[str, float]


class MetricsFile:
    """Appends records, each on disk before ``append`` returns to its caller.

    A line counts once its newline is there: what a killed process left of its last line is cut
    off when the file is opened again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._not_finite: set[str] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = path.open("ab")
        self._handle.truncate(path.read_bytes().rfind(b"\n") + 1)

    def append(self, step: int, phase: int, kind: Kind, metrics: Mapping[str, float]) -> None:
        """Write one line. Values that are not finite (no JSON has them) are left out, with a
        warning the first time a metric has one.
        """
        values = {name: float(value) for name, value in metrics.items()}
        for name in [name for name, value in values.items() if not math.isfinite(value)]:
            if name not in self._not_finite:
                self._not_finite.add(name)
                logger.warning(
                    "%s is %s at step %d; such values are left out of %s",
                    name, values[name], step, self.path.name,
                )
            del values[name]
        line = json.dumps({"step": step, "phase": phase, "kind": kind, "metrics": values})
        self._handle.write(line.encode() + b"\n")
        self._handle.flush()

    def offset(self) -> int:
        """Bytes written so far, forced to disk: a checkpoint may rely on them."""
        os.fsync(self._handle.fileno())
        return os.fstat(self._handle.fileno()).st_size

    def truncate(self, offset: int) -> None:
        """Forget every record after ``offset``, as a checkpoint saw it.

        Raises CropiError when the file cannot be the one the offset was taken from.
        """
        size = self.offset()
        content = self.path.read_bytes()[:offset]
        if not 0 <= offset <= size or (content and not content.endswith(b"\n")):
            raise CropiError(
                f"{self.path} does not fit its checkpoint: no line ends at byte {offset} "
                f"of {size}. Was it edited? Put the file back, or start the run in a new folder"
            )
        self._handle.truncate(offset)

    def close(self) -> None:
        self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def read_metrics(path: Path, *, without: Kind | None = None) -> list[Record]:
    """All whole lines, in order; none when the file is not there yet.

    Records of the kind ``without`` are passed over unread: most of a long run are of training.
    Safe beside a running writer: a last line without its newline is not there yet either.
    Raises DataError naming the line that is not a record.
    """
    if not path.is_file():
        return []
    *lines, _unfinished = path.read_bytes().split(b"\n")
    passed = b'"kind": "%s", "metrics"' % without.encode() if without else None
    return [
        _record(path, number, line) for number, line in enumerate(lines, start=1)
        if passed is None or passed not in line
    ]


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        row = json.loads(line)
        return Record(row["step"], row["phase"], row["kind"], row["metrics"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}, line {number}: not a metrics record ({error!r})") from error
