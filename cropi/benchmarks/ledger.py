"""An account of every row: what was read, kept, left out and why, and what cannot be trusted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cropi.contracts import Dropped, LoadReport
from cropi.types import Prompt

EXAMPLES = 3  # rows kept for each reason


@dataclass(frozen=True)
class Row:
    """A prompt and the set and source it came from, such as ``train/gsm8k``."""

    origin: str
    prompt: Prompt


@dataclass
class Ledger:
    """What became of every row read: kept, or dropped for a reason. Nothing goes uncounted."""

    read: Counter[str] = field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    overlaps: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    golds: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    near: dict[str, dict[str, Any]] = field(default_factory=dict)
    short: dict[str, int] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)

    def drop(self, origin: str, reason: str, example: str | None = None) -> None:
        self.dropped[origin][reason] += 1
        if example is not None:
            self.example(reason, example)

    def example(self, reason: str, text: str) -> None:
        if len(self.examples[reason]) < EXAMPLES:
            self.examples[reason].append(text)

    def report(self) -> LoadReport:
        """Read = kept + the counts of all reasons, for every source."""
        rows = {
            origin: {
                "read": read,
                "kept": read - self.dropped[origin].total(),
                **self.dropped[origin],
            }
            for origin, read in self.read.items()
        }
        return LoadReport(
            rows=rows,
            overlaps=dict(self.overlaps),
            examples={reason: list(rows) for reason, rows in self.examples.items()},
            golds={origin: dict(counts) for origin, counts in self.golds.items()},
            near=dict(self.near),
            short=dict(self.short),
            faults=list(self.faults),
        )


def read_rows(origin: str, items: Iterable[Prompt | Dropped], ledger: Ledger) -> list[Row]:
    """All prompts among what a source yields; what gave none is counted."""
    rows: list[Row] = []
    for item in items:
        ledger.read[origin] += 1
        if isinstance(item, Dropped):
            ledger.drop(origin, item.reason, f"{origin}: {item.row}")
            if item.reason != "duplicate":
                ledger.faults.append({"set": origin, "row": item.row, "reason": item.reason})
        else:
            rows.append(Row(origin, item))
            ledger.golds[origin].update(_kinds(item))
    return rows


def _kinds(prompt: Prompt) -> Iterable[str]:
    """What a report counts about golds that are kept."""
    if "published_golds" in prompt.metadata:
        yield "normalised"
    if "answers" in prompt.metadata:
        yield "several answers"
    if len(prompt.golds) > 1:
        yield "alternatives"


def quoted(row: Row) -> str:
    return f"{row.origin}: {_start(row.prompt.question, 80)!r}"


def fault(where: str, prompt: Prompt, reason: str) -> dict[str, Any]:
    """A row that cannot be trusted, for the list in the report."""
    return {
        "set": where,
        "id": prompt.id,
        "source": prompt.source,
        "question": _start(prompt.question, 120),
        "golds": list(prompt.golds),
        "reason": reason,
    }


def _start(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"
