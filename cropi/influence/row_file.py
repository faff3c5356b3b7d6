"""One .npy file of equal rows, read and written by position.

Memory is that of the rows at hand, whatever the file's size: a memory map would count every page
that it ever touched as this process's. Files are sparse until written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cropi.runtime.errors import DataError


@dataclass(frozen=True)
class RowFile:
    """[N, width] numbers in ``path``; ``numpy.load`` reads them too. Offsets have no size limit."""

    path: Path
    dtype: np.dtype
    shape: tuple[int, int]
    offset: int  # of row 0, in bytes

    @classmethod
    def create(cls, path: Path, dtype: npt.DTypeLike, shape: tuple[int, int]) -> RowFile:
        """A file of zeros, replacing what stood there."""
        kind = np.dtype(dtype).newbyteorder("<")
        header = {"descr": kind.str, "fortran_order": False, "shape": shape}
        with path.open("wb") as handle:
            np.lib.format.write_array_header_1_0(handle, header)
            created = cls(path, kind, shape, handle.tell())
            handle.truncate(created.file_bytes)
            os.fsync(handle.fileno())
        return created

    @classmethod
    def open(cls, path: Path, dtype: npt.DTypeLike, shape: tuple[int, int]) -> RowFile:
        """The file as it should be. Raises DataError when it is missing, cut short or another."""
        kind = np.dtype(dtype).newbyteorder("<")
        try:
            with path.open("rb") as handle:
                np.lib.format.read_magic(handle)
                found = np.lib.format.read_array_header_1_0(handle)
                opened = cls(path, kind, shape, handle.tell())
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}; {_ADVICE}") from error
        if found != (shape, False, kind):
            raise DataError(
                f"{path} holds {found[2]} {found[0]}, expected {kind} {shape}; {_ADVICE}"
            )
        if (size := path.stat().st_size) != opened.file_bytes:
            raise DataError(
                f"{path} is damaged: {size:,} bytes, expected {opened.file_bytes:,}; {_ADVICE}"
            )
        return opened

    @property
    def row_bytes(self) -> int:
        return self.shape[1] * self.dtype.itemsize

    @property
    def file_bytes(self) -> int:
        return self.offset + self.shape[0] * self.row_bytes

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start … stop−1, [stop − start, width]. Raises DataError when the file ends first."""
        block = np.empty((stop - start, self.shape[1]), self.dtype)
        with self.path.open("rb", buffering=0) as handle:
            handle.seek(self.offset + start * self.row_bytes)
            view = block.reshape(-1).view(np.uint8).data
            while view:  # one call reads at most 2 GiB
                if not (count := handle.readinto(view)):
                    raise DataError(f"{self.path} ends before row {stop - 1}; {_ADVICE}")
                view = view[count:]
        return block

    def write(self, places: Sequence[int], rows: np.ndarray) -> None:
        """Put rows [n, width] at ``places`` and wait until the disk has them."""
        numbers = np.ascontiguousarray(rows, dtype=self.dtype)
        with self.path.open("r+b") as handle:
            for place, row in zip(places, numbers, strict=True):
                handle.seek(self.offset + place * self.row_bytes)
                handle.write(row.data)
            handle.flush()
            os.fsync(handle.fileno())


_ADVICE = "move its folder away to compute everything in it again"
