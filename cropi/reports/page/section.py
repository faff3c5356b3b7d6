"""A part of the page: what it shows, the numbers behind it, and the runs these came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cropi.reports.page.drawing import Drawing
from cropi.reports.runs import Run


@dataclass(frozen=True)
class Line:
    """A line of a table of numbers, and the runs that it is computed from."""

    cells: Sequence[str]
    runs: Sequence[Run]


@dataclass(frozen=True)
class Numbers:
    """A table: what each number is, and the lines. Of a section without figures it is the show."""

    headings: Sequence[str]
    lines: Sequence[Line]


@dataclass(frozen=True)
class Section:
    """``anchor`` is for links. What cannot be shown has an ``absent`` that says why."""

    anchor: str
    title: str
    text: str = ""
    drawings: Sequence[Drawing] = ()
    numbers: Numbers | None = None
    absent: str = ""


def percent(share: float | None, sign: str = "") -> str:
    """``62.1``; ``-`` for what is not known."""
    return "-" if share is None else f"{100 * share:{sign}.1f}"
