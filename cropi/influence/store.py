"""Projected gradients on disk: resumable after a kill at any moment, filled by several processes.

A folder of ``rows.npy`` [N, d], ``columns.npy`` [N, C], ``done.npy`` [N] and ``store.json``, which
is written last. A row is done when its mark is: 0 is not yet, anything else the checksum of the
row and its columns. The row reaches the disk before its mark, so no half-written row is ever done.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropi.influence.header import SCHEMA_VERSION, check_header
from cropi.influence.row_file import RowFile
from cropi.runtime.errors import DataError
from cropi.runtime.files import write_json
from cropi.types import BoolArray, FloatArray

HEADER = "store.json"
Float32Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GradientStore:
    """``count`` rows of ``dimension`` float32, with the named float64 ``columns`` of each.

    Processes may write different rows of one store at once, once it has been created.
    """

    folder: Path
    count: int
    dimension: int
    columns: tuple[str, ...]
    _rows: RowFile
    _columns: RowFile
    _done: RowFile
    _checked: BoolArray = field(repr=False)  # by this process, against the checksums

    @classmethod
    def open(
        cls,
        folder: Path,
        identity: Mapping[str, Any],
        rows: int,
        dimension: int,
        columns: Sequence[str],
    ) -> GradientStore:
        """The store of this ``identity`` (JSON values), created when absent or half-created.

        Raises DataError when the folder holds other gradients, naming what differs, and when its
        files are damaged.
        """
        header = json.loads(json.dumps({
            "schema_version": SCHEMA_VERSION, "rows": rows, "dimension": dimension,
            "columns": list(columns), "identity": identity,
        }))  # fmt: skip
        exists = (folder / HEADER).exists()
        if exists:
            check_header(folder / HEADER, header)
        folder.mkdir(parents=True, exist_ok=True)
        make = RowFile.open if exists else RowFile.create
        files = (
            make(folder / "rows.npy", "<f4", (rows, dimension)),
            make(folder / "columns.npy", "<f8", (rows, len(columns))),
            make(folder / "done.npy", "<u4", (rows, 1)),
        )
        if not exists:
            write_json(folder / HEADER, header)
        return cls(folder, rows, dimension, tuple(columns), *files, np.zeros(rows, dtype=bool))

    def missing(self) -> npt.NDArray[np.int64]:
        """Places of the rows that are not done, by whichever process."""
        return np.flatnonzero(self._done.read(0, self.count)[:, 0] == 0)

    def write(
        self, places: Sequence[int], rows: npt.ArrayLike, columns: Mapping[str, npt.ArrayLike]
    ) -> None:
        """Rows [n, d] and columns [n] each, put on disk and then marked done.

        Raises ValueError for a place outside, another shape, other columns, and rows that are not
        finite: zero those first, and say so in a column.
        """
        where = [int(place) for place in places]
        numbers = np.ascontiguousarray(rows, dtype=np.float32)
        if where and not 0 <= min(where) <= max(where) < self.count:
            raise ValueError(f"places {min(where)} to {max(where)} in a store of {self.count}")
        if numbers.shape != (len(where), self.dimension):
            raise ValueError(f"rows {numbers.shape}, expected {(len(where), self.dimension)}")
        if set(columns) != set(self.columns):
            raise ValueError(f"columns {sorted(columns)}, expected {sorted(self.columns)}")
        if not np.isfinite(numbers).all():
            raise ValueError(f"rows at places {where} are not finite")
        told = np.empty((len(where), len(self.columns)))
        for number, name in enumerate(self.columns):
            told[:, number] = columns[name]
        if again := [place for place in where if self._done.read(place, place + 1).any()]:
            self._done.write(again, np.zeros((len(again), 1)))
        self._rows.write(where, numbers)
        self._columns.write(where, told)
        self._done.write(where, _checksums(numbers, told))

    def rows(self, places: Sequence[int] | npt.NDArray[np.integer]) -> Float32Rows:
        """[n, d], in the order of ``places``. Raises as ``blocks`` does."""
        found = [self._read(int(place), int(place) + 1) for place in places]
        return np.concatenate(found) if found else np.empty((0, self.dimension), np.float32)

    def blocks(self, max_bytes: int) -> Iterator[tuple[int, int, Float32Rows]]:
        """(start, stop, rows [stop − start, d]) over the whole store; at least one row a block.

        Raises ValueError at a row that is not done, and DataError at one that is damaged (every
        row is checked once).
        """
        step = max(1, max_bytes // max(self._rows.row_bytes, 1))
        for start in range(0, self.count, step):
            stop = min(start + step, self.count)
            yield start, stop, self._read(start, stop)

    def column(self, name: str) -> FloatArray:
        """[N]; 0 where a row is not done."""
        return self._columns.read(0, self.count)[:, self.columns.index(name)].copy()

    def _read(self, start: int, stop: int) -> Float32Rows:
        rows = self._rows.read(start, stop)
        if not self._checked[start:stop].all():
            marks = self._done.read(start, stop)
            if not marks.all():
                place = start + int(np.argmin(marks != 0))
                raise ValueError(f"row {place} of {self.folder} has not been computed yet")
            odd = marks != _checksums(rows, self._columns.read(start, stop))
            if odd.any():
                raise DataError(
                    f"{self._rows.path} is damaged at row {start + int(np.argmax(odd))}; "
                    f"move {self.folder} away to compute its gradients again"
                )
            self._checked[start:stop] = True
        return rows


def _checksums(rows: np.ndarray, columns: np.ndarray) -> npt.NDArray[np.uint32]:
    """[n, 1], never 0."""
    return np.array(
        [[zlib.crc32(c.data, zlib.crc32(r.data)) or 1] for r, c in zip(rows, columns, strict=True)],
        dtype=np.uint32,
    ).reshape(-1, 1)
