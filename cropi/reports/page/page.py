"""``cropi report``: one HTML page that opens from disk, needs no network and runs no script."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cropi import __version__
from cropi.reports.arms import TARGETED, group
from cropi.reports.comparison import compare
from cropi.reports.filters import chosen
from cropi.reports.formats import cells, headings, notes
from cropi.reports.page import (
    accuracy,
    budget,
    composition,
    differences,
    headline,
    overlap,
    scores,
    share_map,
    test_sets,
)
from cropi.reports.page.findings import Findings
from cropi.reports.page.section import Section, percent
from cropi.reports.planned import not_begun
from cropi.reports.runs import Run, find_runs
from cropi.runtime.errors import CropiError
from cropi.runtime.files import write_atomically


def main(
    paths: Sequence[Path],
    out: Path,
    *,
    baseline: str | None = None,
    target: str = "plateau",
    where: Sequence[str] = (),
    figures_folder: Path | None = None,
    described: Mapping[str, str] | None = None,
) -> None:
    """Write the report of the runs in and below ``paths`` to ``out``.

    ``described`` says what selectors do, by name. Raises CropiError when there is no run.
    """
    runs = chosen(find_runs(paths), where)
    if not runs:
        raise CropiError(f"no run is left by --where {' '.join(where)}")
    compared = compare(group(runs), baseline=baseline, target=target)
    found = Findings(runs, compared, not_begun(paths, where))
    sections = [
        accuracy.section(found), test_sets.section(found), share_map.section(found),
        composition.section(found), overlap.section(found), scores.section(found),
        budget.section(found), differences.section(runs),
    ]  # fmt: skip
    options = [("--baseline", baseline), ("--target", None if target == "plateau" else target),
               *(("--where", text) for text in where)]
    given = [text for name, value in options if value is not None for text in (name, value)]
    made_by = shlex.join(["cropi", "report", *map(str, paths), "--out", str(out), *given])
    text = render(found, sections, out.parent, made_by, described or {})
    write_atomically(out, lambda part: part.write_text(text, encoding="utf-8"))
    if figures_folder is not None:
        for drawing in (drawing for section in sections for drawing in section.drawings):
            drawing.write(figures_folder)


def render(
    found: Findings,
    sections: Sequence[Section],
    folder: Path,
    made_by: str,
    described: Mapping[str, str],
) -> str:
    """The page, to lie in ``folder``. All text but the figures' SVG is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("cropi.reports.page", ""), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    anchors = {run.folder: f"run-{number}" for number, run in enumerate(found.runs)}
    return environment.get_template("report.html.j2").render(
        title=title(found.runs),
        sentences=headline.sentences(found),
        tiles=headline.tiles(found),
        methods=[(name, described[name]) for name in dict.fromkeys(
            row.arm.method for row in found.compared.rows
        ) if name in described],
        headings=headings(found.compared),
        notes=notes(found.compared),
        table=[
            {"cells": cells(row), "best": row.best, "state": row.state, "runs": row.arm.runs}
            for row in found.compared.rows
        ],
        sections=[section for section in sections if not section.absent],
        absent=[section.absent for section in sections if section.absent],
        drawn_from=lambda section: drawn_from(section, found.runs),
        anchor=lambda run: anchors.get(run.folder),
        address=lambda run: address(run.folder, folder),
        state=state,
        runs=found.runs,
        not_begun=found.not_begun,
        svg=Markup,
        version=__version__,
        made_by=made_by,
    )  # fmt: skip


def title(runs: Sequence[Run]) -> str:
    def of(name: str) -> str:
        return ", ".join(sorted({run.choices.get(name) or "" for run in runs} - {""}))

    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
    on, by = of("benchmark"), of("model")
    return count + (f" on {on}" if on else "") + (f" with {by}" if by else "")


def drawn_from(section: Section, runs: Sequence[Run]) -> list[Run]:
    """The runs whose numbers a section holds, in the order of the page."""
    lines = section.numbers.lines if section.numbers else ()
    folders = {run.folder for line in lines for run in line.runs}
    return [run for run in runs if run.folder in folders]


def address(folder: Path, page: Path) -> str:
    """A link to a folder from a page that lies in another."""
    return quote(os.path.relpath(folder.resolve(), page.resolve()).replace(os.sep, "/"))


def state(run: Run) -> dict[str, Any]:
    """How far a run is, for people."""
    failure = run.failure if not run.finished else None
    return {
        "text": "finished" if run.finished else (
            f"failed: {failure['error']}" if failure else "unfinished"
        ),
        "failed": failure is not None,
        "accuracy": percent(run.final(TARGETED)),
    }  # fmt: skip
