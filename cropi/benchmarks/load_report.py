"""A load report as lines for the log."""

from __future__ import annotations

from collections.abc import Iterator

from cropi.contracts import LoadReport


def describe(report: LoadReport) -> list[str]:
    """One line a source, one an overlap that was found, and a few rows for each reason."""
    return list(_lines(report))


def _lines(report: LoadReport) -> Iterator[str]:
    for source, counts in report.rows.items():
        reasons = [f"{n:,} {why}" for why, n in counts.items() if why not in ("read", "kept")]
        yield f"{source}: {counts['kept']:,} of {counts['read']:,} rows" + (
            f" ({', '.join(reasons)})" if reasons else ""
        )
    found = {pair: n for pair, n in report.overlaps.items() if n}
    for pair, n in found.items():
        yield f"overlap {pair}: {n:,} question{'s' if n > 1 else ''}"
    if report.overlaps and not found:
        yield "overlaps between the sets: none"
    for reason, rows in report.examples.items():
        yield f"{reason}, for example:"
        yield from (f"  {row}" for row in rows)
