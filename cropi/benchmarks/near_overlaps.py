"""Rows that share 13 words in a row with another set: reported, and left out if asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cropi.benchmarks.grams import Grams, gram_at, grams_of, shared
from cropi.benchmarks.ledger import EXAMPLES, Ledger, Row, quoted


def grams(rows: Sequence[Row]) -> Grams:
    return grams_of([row.prompt.question for row in rows])


def without_near(
    name: str,
    rows: Sequence[Row],
    others: Mapping[str, tuple[Sequence[Row], Grams]],
    ledger: Ledger,
    *,
    drop: bool,
) -> list[Row]:
    """Count the rows of set ``name`` that share a gram with a set of ``others``."""
    mine = grams(rows)
    ledger.short[name] = mine.short
    near: dict[int, str] = {}  # row -> the first other set with a gram of it
    for other, (theirs, their_grams) in others.items():
        found = shared(mine, their_grams)
        ledger.short[other] = their_grams.short
        ledger.near[f"{name} ∩ {other}"] = {
            "rows": len(found.mine),
            "of the other": found.theirs,
            "examples": [
                {
                    "row": quoted(rows[row]),
                    "other": quoted(theirs[their_row]),
                    "words": gram_at(rows[row].prompt.question, start),
                }
                for row, (start, their_row) in list(found.mine.items())[:EXAMPLES]
            ],
        }
        for row in found.mine:
            near.setdefault(row, other)
    if not drop:
        return list(rows)
    for number, other in sorted(near.items()):
        ledger.drop(rows[number].origin, f"near {other}")
    return [row for number, row in enumerate(rows) if number not in near]
