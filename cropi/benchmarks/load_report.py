"""A load report as lines for the log, as JSON, and as a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from cropi.contracts import LoadReport

SHOWN = 3  # untrusted rows and shared grams in the log; the JSON has more


def as_json(report: LoadReport) -> dict[str, Any]:
    """The whole report as JSON values, the same for the same data on every machine."""
    whole = {field.name: getattr(report, field.name) for field in fields(report)}
    plain: dict[str, Any] = json.loads(json.dumps(whole, ensure_ascii=False))
    return plain


def digest(report: LoadReport) -> str:
    """sha256 of the report's canonical JSON, 16 hexadecimal digits."""
    text = json.dumps(
        as_json(report), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe(report: LoadReport) -> list[str]:
    """One line a source, one an overlap that was found, and a few rows for each reason."""
    return list(_lines(report))


def reasons(counts: Mapping[str, Any]) -> str:
    """``4 empty gold, 1 duplicate``: what was dropped and why."""
    known = ("read", "loaded", "kept", "ids")
    return ", ".join(f"{n:,} {why}" for why, n in counts.items() if why not in known)


def _lines(report: LoadReport) -> Iterator[str]:
    for source, counts in report.rows.items():
        why = reasons(counts)
        yield f"{source}: {counts['kept']:,} of {counts['read']:,} rows" + (f" ({why})" * bool(why))
    for source, golds in report.golds.items():
        if golds:
            yield f"{source}: golds: {reasons(golds)}"
    yield from overlap_lines(report)
    for reason, rows in report.examples.items():
        yield f"{reason}, for example:"
        yield from (f"  {row}" for row in rows)
    yield from gold_lines(report)
    if report.label_noise is not None:
        yield noise_line(report.label_noise)


def overlap_lines(report: LoadReport) -> Iterator[str]:
    """Exact overlaps, then 13-gram overlaps with examples; only those that were found."""
    found = {pair: n for pair, n in report.overlaps.items() if n}
    for pair, n in found.items():
        yield f"overlap {pair}: {n:,} question{'s' if n > 1 else ''}"
    if report.overlaps and not found:
        yield "overlaps between the sets: none"
    near = {pair: shared for pair, shared in report.near.items() if shared["rows"]}
    for pair, shared in near.items():
        first, second = pair.split(" ∩ ")
        yield (
            f"13 words in a row, {pair}: {shared['rows']:,} rows of {first} and "
            f"{shared['of the other']:,} of {second}"
        )
        for example in shared["examples"][:1]:
            yield f"  {example['row']}"
            yield f"  {example['other']}"
            yield f"  both: {example['words']}"
    if report.near and not near:
        yield "13 words in a row shared between the sets: none"
    short = ", ".join(f"{n:,} of {name}" for name, n in report.short.items() if n)
    if short:
        yield f"questions of fewer than 13 words, compared only as a whole: {short}"


def gold_lines(report: LoadReport) -> Iterator[str]:
    """What the verifier could not use, a line a set and reason, with a few rows of each."""
    for name, counts in report.sets.items():
        for why in counts:
            if why in ("loaded", "kept", "ids"):
                continue
            rows = [f for f in report.faults if f["set"] == name and f["reason"] == why]
            yield f"{name}: dropped {counts[why]} ({why}), for example:"
            for row in rows[:SHOWN]:
                yield f"  {row['id']} {row['source']}: {row['question']!r} has {row['golds']}"


def noise_line(record: Mapping[str, Any]) -> str:
    return (
        f"label noise: {record['prompts']:,} of {record['of']:,} training golds replaced "
        f"(share {record['share']}, seed {record['seed']}, ids {record['ids']})"
    )
