"""What comparing one answer with one gold gives."""

from __future__ import annotations

from dataclasses import dataclass

from cropi.types import VerdictStatus


@dataclass(frozen=True, slots=True)
class Comparison:
    """Equal or not, how that was found, and what went wrong if something did."""

    equal: bool
    method: str
    status: VerdictStatus = "ok"
    milliseconds: float = 0.0
