"""``cropi report``: one HTML page that opens from disk, needs no network and runs no script."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cropi import __version__
from cropi.reports.acceleration import Axis
from cropi.reports.arms import TARGETED, Arm, group
from cropi.reports.comparison import Comparison, Row, compare
from cropi.reports.filters import chosen
from cropi.reports.formats import HEADINGS, cells, factor, notes
from cropi.reports.page import contents, figures
from cropi.reports.page.figures import Drawing
from cropi.reports.runs import Run, find_runs
from cropi.runtime.errors import CropiError
from cropi.runtime.files import write_atomically

MOST_ARMS = 12  # that figures of selections show
TEMPLATE = "report.html.j2"


@dataclass
class Section:
    """A heading with figures, and the runs that they are drawn from."""

    title: str
    text: str
    drawings: list[Drawing]
    runs: list[Run] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")


def main(
    paths: Sequence[Path],
    out: Path,
    *,
    baseline: str | None = None,
    target: str = "plateau",
    where: Sequence[str] = (),
    figures_folder: Path | None = None,
) -> None:
    """Write the report of the runs in and below ``paths`` to ``out``.

    Raises CropiError when there is no run.
    """
    runs = chosen(find_runs(paths), where)
    if not runs:
        raise CropiError(f"no run is left by --where {' '.join(where)}")
    arms = group(runs)
    compared = compare(arms, baseline=baseline, target=target)
    sections, missing = _sections(arms, runs, compared)
    made_by = shlex.join(["cropi", "report", *map(str, paths), "--out", str(out)])
    text = render(runs, compared, sections, missing, out.parent, made_by)
    write_atomically(out, lambda part: part.write_text(text, encoding="utf-8"))
    if figures_folder is not None:
        for section in sections:
            for drawing in section.drawings:
                drawing.write(figures_folder)


def render(
    runs: Sequence[Run],
    compared: Comparison,
    sections: Sequence[Section],
    missing: Sequence[str],
    folder: Path,
    made_by: str,
) -> str:
    """The page. Everything that is not a figure of ours is escaped."""
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        (files("cropi.reports.page") / TEMPLATE).read_text(encoding="utf-8")
    )
    keys, values = contents.differing_keys(runs)

    def link(run: Run) -> dict[str, Any]:
        return {"link": contents.relative(run.folder, folder), "seed": run.seed,
                "label": run.run_id}

    return template.render(
        title=_title(runs),
        lead=lead(compared),
        headings=HEADINGS,
        notes=notes(compared),
        table=[
            {"cells": cells(row), "best": row.best, "runs": [link(run) for run in row.arm.runs]}
            for row in compared.rows
        ],
        sections=[
            {
                "title": section.title, "anchor": section.anchor, "text": section.text,
                "runs": [link(run) for run in section.runs],
                "drawings": [
                    {"name": d.name, "title": d.title, "svg": Markup(d.svg()),
                     "large": d.size[0] > 8, "width": round(80 * d.size[0])}
                    for d in section.drawings
                ],
            }
            for section in sections
        ],
        runs=[{**link(run), **_state(run), "command": run.command} for run in runs],
        differing=keys,
        rows_differing=[(run.run_id, row) for run, row in zip(runs, values, strict=True)],
        missing=missing,
        version=__version__,
        made_by=made_by,
    )  # fmt: skip


def lead(compared: Comparison) -> str:
    """The outcome in a sentence or two, with its numbers and how sure they are."""
    finished = [row for row in compared.rows if row.final is not None]
    unfinished = len(compared.rows) - len(finished)
    rest = f" {unfinished} runs are unfinished or failed and in no number." if unfinished else ""
    if not finished:
        return f"No run is finished yet.{rest}"
    top = max(finished, key=lambda row: row.final.mean)  # type: ignore[union-attr]
    return f"{_who(top, len(finished))}{_against(top, compared)}{rest}"


def _who(top: Row, rows: int) -> str:
    assert top.final is not None
    interval = "" if top.final.low is None or top.final.high is None else (
        f", 95 % interval {100 * top.final.low:.1f} to {100 * top.final.high:.1f}"
    )
    seeds = f"{top.final.n} seed{'s' if top.final.n > 1 else ''}"
    sure = "" if rows == 1 else (
        ", significantly above every other row" if top.best
        else "; the difference to the next is not significant"
    )  # fmt: skip
    return (
        f"{top.arm.label} ends highest, at {100 * top.final.mean:.1f} % targeted accuracy "
        f"({seeds}{interval}){sure}."
    )


def _against(top: Row, compared: Comparison) -> str:
    if compared.baseline is None or not top.faster or compared.target is None:
        return ""
    axes: tuple[tuple[Axis, str], ...] = (
        ("steps", "steps"), ("seconds", "seconds"), ("compute_tokens", "tokens")
    )
    shown = [
        f"{factor(top.faster[axis])} in {name}" for axis, name in axes
        if top.faster[axis].ratio is not None
    ]  # fmt: skip
    if not shown:
        return ""
    return (
        f" To reach {100 * compared.target.value:.1f} % ({compared.target.rule}) it was faster "
        f"than {compared.baseline.label} by {', '.join(shown)}; below 1 is slower, and every "
        f"rollout and selection is charged."
    )


def _title(runs: Sequence[Run]) -> str:
    benchmarks = sorted({run.choices.get("benchmark", "") for run in runs} - {""})
    models = sorted({run.choices.get("model", "") for run in runs} - {""})
    on = f" on {', '.join(benchmarks)}" if benchmarks else ""
    return f"Which prompts are worth training on? {len(runs)} runs{on}" + (
        f" with {', '.join(models)}" if models else ""
    )


def _state(run: Run) -> dict[str, Any]:
    values = run.curve(TARGETED).values
    failed = not run.finished and run.failure is not None
    return {
        "state": "finished" if run.finished else (
            f"failed: {run.failure['error']}" if run.failure else "unfinished"
        ),
        "failed": failed,
        "steps": run.steps,
        "accuracy": f"{100 * values[-1]:.1f}" if values.size else "-",
    }  # fmt: skip


def _sections(
    arms: Sequence[Arm], runs: Sequence[Run], compared: Comparison
) -> tuple[list[Section], list[str]]:
    """What can be drawn, and why the rest cannot."""
    found: list[Section] = []
    missing: list[str] = []
    drawn = [arm for arm in arms if arm.mean_curve(TARGETED).steps.size]
    finished = [arm for arm in arms if arm.finished][:MOST_ARMS]

    def add(
        title: str, drawings: Sequence[Drawing], text: str, why: str, of: Sequence[Arm]
    ) -> None:
        if drawings:
            found.append(Section(title, text, list(drawings), [r for a in of for r in a.runs]))
        else:
            missing.append(why)

    add("Accuracy", [figures.curves(compared, drawn)] if drawn else [],
        "Bands are 95 % t-intervals over seeds, cut where they leave the plot; ticks on the dotted "
        "line mark where a method reaches the target.",
        "curves, as no run was evaluated yet", drawn)
    cells_ = contents.cells(runs)
    add("Share and projection",
        [figures.heat_map(cells_, contents.ALPHA, contents.KEEP)] if cells_ else [],
        "", "the map of α by projection, as neither varies between these runs", arms)
    shares = contents.compositions(finished)
    add("Selection", [figures.composition(shares)] if shares else [], "Over all seeds.",
        "composition, as the prompts name no family", finished)
    phases = [contents.overlap_of_phases(arm) for arm in finished]
    overlaps = [o for o in (contents.overlap_of_methods(finished), *phases) if o is not None]
    add("Overlap", [figures.overlap(o) for o in overlaps],
        "Jaccard index: prompts that both chose over prompts that either chose.",
        "overlaps, as there is one selection only", finished)
    scored = [s for s in map(contents.scored, finished) if s is not None]
    add("Scores", [figures.scores(scored[:4])] if scored else [], "",
        "score distributions, as no method scores prompts apart", finished)
    add("Budget", [figures.budget(compared, "seconds", "seconds"),
                   figures.budget(compared, "tokens", "tokens")] if finished else [],
        "Evaluation is hatched: it is measured and charged to nobody.",
        "budgets, as no run is finished", finished)
    return found, missing
