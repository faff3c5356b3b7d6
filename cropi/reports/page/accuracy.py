"""Accuracy over steps, seconds and tokens, with the point at which each method gets there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cropi.reports.acceleration import Axis
from cropi.reports.comparison import Row
from cropi.reports.details import compact
from cropi.reports.formats import factor
from cropi.reports.page.course import course
from cropi.reports.page.drawing import Drawing, Key, Panel
from cropi.reports.page.findings import Findings, Place
from cropi.reports.page.looks import line_look, short
from cropi.reports.page.section import Line, Numbers, Section, percent
from cropi.reports.page.svg import INK

AXES: Mapping[Axis, str] = {
    "steps": "optimizer steps", "seconds": "seconds spent", "compute_tokens": "tokens spent",
}  # fmt: skip
MOST_LINES = 7  # in colour; the rest is grey
GREY = {"color": INK, "alpha": 0.25, "linewidth": 0.8}
TEXT = (
    "Higher and further left is better. A line is the mean over seeds, its band reaches from the "
    "lowest seed to the highest; dashes are unfinished runs. Seconds and tokens count every "
    "rollout and every selection, each as a flat stretch. The dotted "
    "line is the level to reach; a ring marks where a method gets there."
)


def section(found: Findings) -> Section:
    places = [
        Place(place.name, rows) for place in found.places
        if (rows := tuple(row for row in place.rows if course(row.arm, "steps").mean.size))
    ]
    if not places:
        return Section("accuracy", "Accuracy", absent="curves, as no run was evaluated yet")
    more = any(len(coloured(place)) < len(place.rows) for place in places)
    text = f"{TEXT} Only baselines and the highest rows are in colour." if more else TEXT
    drawings = [_drawing(place, number) for number, place in enumerate(places)]
    headings = ("row", "evaluated at first", "at the end", "highest", *(
        f"{name} to the level" for name in AXES.values()
    ), *(f"sooner in {axis.split('_')[-1]}" for axis in AXES))
    lines = [_line(row, found) for place in places for row in place.rows]
    return Section("accuracy", "Accuracy", text, drawings, Numbers(headings, lines))


def coloured(place: Place) -> list[Row]:
    """The baseline and the rows that end highest."""
    bases = {id(row.baseline) for row in place.rows}
    rank = sorted(place.rows, key=lambda row: (
        id(row.arm) not in bases, row.final is None, -course(row.arm, "steps").mean[-1]
    ))  # fmt: skip
    return rank[:MOST_LINES]


def _line(row: Row, found: Findings) -> Line:
    here = course(row.arm, "steps")
    reached = [row.reached[axis].value if axis in row.reached else None for axis in AXES]
    return Line(
        [
            found.label(row.arm) + ("" if row.arm.finished else f", {row.state}"),
            percent(here.mean[0]), percent(here.mean[-1]), percent(here.mean.max()),
            *("-" if value is None else compact(value) for value in reached),
            *(factor(row.faster.get(axis)) for axis in AXES),
        ],
        row.arm.runs,
    )  # fmt: skip


def _drawing(place: Place, number: int) -> Drawing:
    shown = coloured(place)
    kept = [row for row in place.rows if row in shown]
    labels = [label for label in place.labels if label in {place.label(r.arm) for r in kept}]
    looks = {
        id(row): {
            **line_look(labels.index(place.label(row.arm))),
            "linestyle": "-" if row.arm.finished else "--",
        }
        for row in kept
    }
    keys = [Key(_legend(row, place), line=looks[id(row)]) for row in kept]
    title = "Targeted accuracy" + (f" on {place.name}" if place.name else "")
    panels = [_panel(place, looks, axis) for axis in AXES]
    return Drawing(f"accuracy-{number}", title, panels, keys)


def _legend(row: Row, place: Place) -> str:
    name = place.label(row.arm)
    if row.arm.finished:
        return f"{name} (n={len(row.arm.seeds)})"
    return f"{name}, seed {row.arm.runs[0].seed} ({row.state.partition(':')[0]})"


def _panel(place: Place, looks: Mapping[int, dict[str, Any]], axis: Axis) -> Panel:
    kept = [row for row in place.rows if id(row) in looks]

    def draw(plot: Any) -> None:
        for row in place.rows:
            if id(row) not in looks:
                here = course(row.arm, axis)
                plot.plot(here.path, 100 * here.ends[0], **GREY)
        for level in {row.target.value for row in kept if row.target is not None}:
            plot.axhline(100 * level, color=INK, linewidth=0.8, linestyle=":")
        for row in kept:
            _curve(plot, row, axis, looks[id(row)])
        plot.set(xlabel=AXES[axis], ylabel="targeted accuracy (%)")
        plot.set_xlim(left=0)
        plot.xaxis.set_major_formatter(lambda value, _: short(value))
        plot.locator_params(axis="x", nbins=5)

    said = "; ".join(
        f"{place.label(row.arm)} ends at {percent(here.mean[-1])} percent "
        f"after {compact(here.at[-1])} {AXES[axis]}"
        for row in kept for here in [course(row.arm, axis)]
    )
    return Panel(f"Over {AXES[axis]}", said, draw, (3.6, 2.9))


def _curve(plot: Any, row: Row, axis: Axis, look: dict[str, Any]) -> None:
    here = course(row.arm, axis)
    mean, low, high = 100 * here.ends
    marked = {**look, "linestyle": "none"}
    plot.plot(here.path, mean, linewidth=1.6, color=look["color"], linestyle=look["linestyle"])
    plot.plot(here.at, 100 * here.mean, markevery=max(1, len(here.at) // 10), **marked)
    if len(row.arm.seeds) > 1:
        plot.fill_between(here.path, low, high, color=look["color"], alpha=0.16, linewidth=0)
    got = row.reached[axis].value if axis in row.reached else None
    if got is not None and row.target is not None:
        plot.plot([got], [100 * row.target.value], "o", markersize=11, color=look["color"],
                  markerfacecolor="none", markeredgewidth=1.6, zorder=5)
