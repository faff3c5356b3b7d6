"""Prompts from local files: JSON lines, JSON, CSV or Parquet, told apart by the extension."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from cropi.benchmarks.rows import Rows
from cropi.runtime.errors import DataError, did_you_mean
from cropi.runtime.parts import part

Row = tuple[str, Mapping[str, Any]]
Paths = str | Annotated[list[str], Field(min_length=1)]


@part
class File(Rows):
    """One file, or several read one after the other. Relative paths start where cropi was run."""

    path: Paths

    def __post_init__(self) -> None:
        given = [self.path] if isinstance(self.path, str) else self.path
        # Absolute from the start, so that no later change of folder moves them.
        self._files = [Path(path).expanduser().absolute() for path in given]

    @property
    def name(self) -> str:
        first = self._files[0]
        more = f"+{len(self._files) - 1}" if len(self._files) > 1 else ""
        return f"{first.parent.name}/{first.stem}{more}"

    def place(self, where: str) -> str:
        return "/".join(Path(where).parts[-2:])

    def rows(self) -> Iterator[Row]:
        """Every row with its file and line. Raises DataError for what cannot be read."""
        for path in self._files:
            if not path.is_file():
                raise DataError(_missing(path))
            reader = READERS.get(path.suffix.lower())
            if reader is None:
                raise DataError(f"{path}: the extension must be one of {', '.join(READERS)}")
            try:
                yield from reader(path)
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: is not UTF-8 text: {error}") from error


def _missing(path: Path) -> str:
    siblings = path.parent.iterdir() if path.parent.is_dir() else ()
    near = did_you_mean(path.name, [sibling.name for sibling in siblings])
    return f"there is no file {path}{near}; relative paths start at the folder cropi is run in"


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{path}, line {number}"
                yield where, _object(_parsed(line, where), where)


def _json(path: Path) -> Iterator[Row]:
    rows = _parsed(path.read_text(encoding="utf-8-sig"), str(path))
    if not isinstance(rows, list):
        raise DataError(f"{path}: must hold a JSON list of rows; for one row a line use .jsonl")
    for number, row in enumerate(rows, start=1):
        where = f"{path}, row {number}"
        yield where, _object(row, where)


def _parsed(text: str, where: str) -> Any:
    try:
        # Numbers stay as they are written: 27.0, 1e3 and a gold of 5,000 digits alike.
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not JSON: {error}") from error


def _object(row: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{where}: should be an object with fields, not a {type(row).__name__}")
    return row


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle, strict=True)
        try:
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row:
                    raise DataError(f"{where}: has more fields than the first line names")
                yield where, row
        except csv.Error as error:
            line = reader.reader.line_num
            raise DataError(f"{path}, line {line}: is not CSV: {error}") from error


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: is not Parquet: {error}") from error
    yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, start=1))


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
}
