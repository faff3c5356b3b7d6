"""``cropi selection show RUN --phase 2 --top 20``: what was chosen, and why."""

from __future__ import annotations

from pathlib import Path

from cropi.runtime.errors import DataError
from cropi.selectors.files import read_rows

QUESTION_WIDTH = 60


def show(run: Path, phase: int, top: int) -> None:
    """Print the best ``top`` prompts of a phase (counted from 0) as a table."""
    from rich.console import Console
    from rich.table import Table

    phases = sorted(p.name for p in (run / "phases").glob("[0-9]*"))
    folder = run / "phases" / f"{phase:03d}"
    if folder.name not in phases:
        there = f"it has phases {int(phases[0])} to {int(phases[-1])}" if phases else "it has none"
        raise DataError(f"{run} has no phase {phase} yet; {there} (counted from 0)")
    rows = read_rows(folder)
    title = f"phase {phase}: {len(rows)} prompts selected of a budget of {rows[0]['budget']}"
    table = Table(title=title, title_justify="left")
    for column in ("rank", "id", "score", "family", "reason", "question", "gold"):
        # An id that is cut cannot be copied into `cropi rollouts show`.
        table.add_column(
            column,
            justify="right" if column in ("rank", "score") else "left",
            no_wrap=column == "id",
            overflow="ignore" if column == "id" else "fold",
        )
    for row in rows[:top]:
        question = " ".join(row["question"].split())
        if len(question) > QUESTION_WIDTH:
            question = question[: QUESTION_WIDTH - 1] + "…"
        table.add_row(
            str(row["rank"]), row["id"], f"{row['score']:.4g}", row["family"] or row["source"],
            row["reason"], _plain(question), _plain(" | ".join(row["golds"])),
        )
    Console().print(table)


def _plain(text: str) -> str:
    """Data-set text is not markup: a bracket in it must not style or break the table."""
    from rich.markup import escape

    return escape(text)
