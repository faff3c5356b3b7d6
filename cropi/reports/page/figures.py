"""Figures of the report: each knows its numbers, its title and what to say to those who cannot see.

Drawn with matplotlib as SVG that takes its colours from the page, so that light and dark both read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cropi.reports.acceleration import Axis, Target, reach, spent
from cropi.reports.arms import Arm
from cropi.reports.comparison import Comparison
from cropi.reports.curves import COLOURS, MARKERS
from cropi.reports.page.contents import Cell, Composition, Overlap, Scored
from cropi.reports.statistics import summary
from cropi.runtime.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, GRID = "#010203", "#010204"  # stand for the page's own colours
STYLE = {
    "font.size": 10, "font.family": "sans-serif", "svg.fonttype": "none",
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "axes.titlecolor": INK,
    "xtick.color": INK, "ytick.color": INK, "hatch.color": INK, "patch.edgecolor": INK,
    "axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": GRID,
    "axes.axisbelow": True, "legend.frameon": False,
}  # fmt: skip
AXIS_NAMES: Mapping[Axis, str] = {
    "steps": "optimizer steps", "seconds": "seconds, all charged",
    "generated_tokens": "generated tokens", "compute_tokens": "tokens by passes, all charged",
}
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")


@dataclass(frozen=True)
class Drawing:
    """A figure: ``name`` for files and anchors, a title, and a sentence for screen readers."""

    name: str
    title: str
    said: str
    draw: Callable[[Figure], None]
    size: tuple[float, float] = (9.0, 3.6)

    def figure(self) -> Figure:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        with rc_context(STYLE):
            figure = Figure(figsize=self.size, layout="constrained")
            FigureCanvasAgg(figure)
            self.draw(figure)
        return figure

    def svg(self) -> str:
        """For a page: no ids that another figure has, colours of the page, a title and a text."""
        from matplotlib import rc_context

        text = io.StringIO()
        with rc_context({**STYLE, "svg.hashsalt": self.name}):
            self.figure().savefig(text, format="svg", metadata={"Date": None})
        found = text.getvalue()
        found = found[found.index("<svg") :]
        found = found.replace(INK, "currentColor").replace(GRID, "var(--grid)")
        found = re.sub(r"<metadata>.*?</metadata>", "", found, flags=re.DOTALL)
        found = re.sub(r'\bid="', f'id="{self.name}-', found)
        found = re.sub(r'(href="#|url\(#)', rf"\g<1>{self.name}-", found)
        found = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", found, count=1)
        label = f'role="img" aria-labelledby="{self.name}-t {self.name}-d"'
        head = (
            f'<title id="{self.name}-t">{_escape(self.title)}</title>'
            f'<desc id="{self.name}-d">{_escape(self.said)}</desc>'
        )
        opening = found.index(">") + 1
        return found[: opening - 1] + f" {label}>" + head + found[opening:]

    def write(self, folder: Path) -> None:
        """As SVG and PNG files, black on white."""
        for suffix in ("svg", "png"):
            write_atomically(folder / f"{self.name}.{suffix}", lambda part, s=suffix: (  # type: ignore[misc]
                self.figure().savefig(part, format=s, dpi=160, facecolor="white")
            ))


def _escape(text: str) -> str:
    from html import escape

    return escape(text)


def curves(comparison: Comparison, arms: Sequence[Arm]) -> Drawing:
    """Accuracy over steps, seconds and tokens; bands are 95 % t-intervals over seeds."""
    axes: tuple[Axis, ...] = ("steps", "seconds", "compute_tokens")

    def draw(figure: Figure) -> None:
        plots = figure.subplots(1, 3, sharey=True)
        for axis, plot in zip(axes, plots, strict=True):
            for number, arm in enumerate(arms):
                _curve(plot, arm, axis, number, comparison.target)
            if comparison.target is not None:
                plot.axhline(100 * comparison.target.value, color=INK, linewidth=0.8, linestyle=":")
            plot.set(xlabel=AXIS_NAMES[axis])
            plot.set_xlim(left=0)
        plots[0].set(ylabel="targeted accuracy (%)")
        handles, names = plots[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))

    said = "; ".join(
        f"{row.arm.label} ends at {100 * row.final.mean:.1f} percent"
        for row in comparison.rows if row.final is not None
    )
    return Drawing("curves", "Accuracy over steps, seconds and tokens", said, draw, (10.5, 4.2))


def _curve(plot: Any, arm: Arm, axis: Axis, number: int, target: Target | None) -> None:
    found = [spent(run, axis) for run in arm.runs]
    shared = sorted(set.intersection(*(set(steps) for steps, _, _ in found)))
    if not shared:
        return
    kept = [np.isin(steps, shared) for steps, _, _ in found]
    x = np.mean([c[1][k] for c, k in zip(found, kept, strict=True)], axis=0)
    columns = np.array([c[2][k] for c, k in zip(found, kept, strict=True)]).T
    seeds = [summary(list(column)) for column in columns]
    y = 100 * np.array([s.mean for s in seeds])
    look = {"color": COLOURS[number % len(COLOURS)], "linestyle": "-" if arm.finished else "--"}
    marker = MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]
    suffix = "" if arm.finished else ", unfinished"
    plot.plot(
        x, y, marker=marker, markersize=4, markevery=max(1, len(x) // 12),
        label=f"{arm.label} (n={len(arm.runs)}{suffix})", **look,
    )  # fmt: skip
    if len(arm.runs) > 1:
        low = 100 * np.array([s.low for s in seeds], dtype=float)
        high = 100 * np.array([s.high for s in seeds], dtype=float)
        spare = 8.0  # with two seeds an interval can be wider than the plot
        bottom, top = max(0.0, y.min() - spare), min(100.0, y.max() + spare)
        plot.fill_between(
            x, np.clip(low, bottom, top), np.clip(high, bottom, top), color=look["color"],
            alpha=0.15, linewidth=0,
        )  # fmt: skip
    if target is not None and (got := reach(arm, target, axis)).value is not None:
        plot.plot([got.value], [100 * target.value], marker="|", markersize=14, color=look["color"])


def heat_map(cells: Sequence[Cell], x_name: str, y_name: str) -> Drawing:
    """Mean final accuracy by two keys; n and interval in each cell, missing ones hatched."""
    xs = sorted({cell.x for cell in cells})
    ys = sorted({cell.y for cell in cells})

    def draw(figure: Figure) -> None:
        from matplotlib.patches import Rectangle

        plot = figure.subplots()
        grid = np.full((len(ys), len(xs)), np.nan)
        for cell in cells:
            if cell.accuracy is not None:
                grid[ys.index(cell.y), xs.index(cell.x)] = 100 * cell.accuracy.mean
        image = plot.imshow(grid, cmap="viridis", aspect="auto", origin="lower")
        bright = np.nanmean(grid) if np.isfinite(grid).any() else 0.0
        for i, y in enumerate(ys):
            for j, x in enumerate(xs):
                here = next((c for c in cells if (c.x, c.y) == (x, y)), None)
                if here is None or here.accuracy is None:
                    plot.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="//"))
                    plot.text(j, i, here.state if here else "missing", ha="center", va="center")
                    continue
                colour = "black" if grid[i, j] > bright else "white"
                plot.text(j, i, "\n".join(here.lines()), ha="center", va="center", color=colour,
                          fontsize=9)
        plot.set(xticks=range(len(xs)), yticks=range(len(ys)), xlabel=x_name, ylabel=y_name)
        plot.set_xticklabels([f"{x:g}" for x in xs])
        plot.set_yticklabels([f"{y:g}" for y in ys])
        plot.grid(visible=False)
        figure.colorbar(image, ax=plot, label="targeted accuracy (%)")

    said = "; ".join(f"{x_name} {c.x:g}, {y_name} {c.y:g}: {', '.join(c.lines())}" for c in cells)
    height = 1.2 + 0.9 * len(ys)
    return Drawing("heat-map", f"Accuracy by {x_name} and {y_name}", said, draw, (9.0, height))


def composition(found: Sequence[Composition]) -> Drawing:
    """Shares of the selected prompts by family, one stacked bar a method and phase."""
    families = list(dict.fromkeys(f for each in found for f in each.shares))

    def draw(figure: Figure) -> None:
        plot = figure.subplots()
        left = np.zeros(len(found))
        places = np.arange(len(found))[::-1]
        for number, family in enumerate(families):
            shares = np.array([100 * each.shares.get(family, 0.0) for each in found])
            plot.barh(places, shares, left=left, color=COLOURS[number % len(COLOURS)],
                      hatch=HATCHES[number // len(COLOURS) % len(HATCHES)], label=family or "none")
            left += shares
        plot.set(yticks=places, xlabel="share of the selected prompts (%)", xlim=(0, 100))
        plot.set_yticklabels([f"{each.label}, phase {each.phase + 1}" for each in found])
        figure.legend(loc="outside lower center", ncols=4)

    said = "; ".join(
        f"{each.label} phase {each.phase + 1}: "
        + ", ".join(f"{f or 'none'} {100 * s:.0f} percent" for f, s in each.shares.items())
        for each in found
    )
    height = 1.3 + 0.3 * len(found) + 0.22 * (len(families) // 4 + 1)
    return Drawing("composition", "What was selected, by family", said, draw, (9.0, height))


def overlap(found: Overlap) -> Drawing:
    """Jaccard index of selections: shared prompts over all that either chose."""

    def draw(figure: Figure) -> None:
        plot = figure.subplots()
        size = len(found.labels)
        plot.imshow(found.values, cmap="Blues", vmin=0, vmax=1)
        for i in range(size):
            for j in range(size):
                colour = "white" if found.values[i, j] > 0.6 else "black"
                plot.text(j, i, f"{found.values[i, j]:.2f}", ha="center", va="center",
                          color=colour, fontsize=8)
        plot.set(xticks=range(size), yticks=range(size))
        plot.set_xticklabels(found.labels, rotation=45, ha="right")
        plot.set_yticklabels(found.labels)
        plot.grid(visible=False)

    side = 2.0 + 0.5 * len(found.labels)
    said = "Jaccard indices: " + "; ".join(
        f"{found.labels[i]} and {found.labels[j]} {found.values[i, j]:.2f}"
        for i in range(len(found.labels)) for j in range(i)
    )
    return Drawing(found.name, found.title, said, draw, (min(10.0, side + 1.0), side))


def scores(found: Sequence[Scored]) -> Drawing:
    """Distribution of the scores of each phase, valid ones only; the selected ones marked."""

    def draw(figure: Figure) -> None:
        plots = np.atleast_1d(figure.subplots(1, len(found)))
        for plot, each in zip(plots, found, strict=True):
            plot.boxplot(each.values, showfliers=False, medianprops={"color": INK},
                         boxprops={"color": INK}, whiskerprops={"color": INK},
                         capprops={"color": INK})
            for number, chosen in enumerate(each.selected, start=1):
                if chosen.size:
                    plot.plot([number], [float(np.median(chosen))], "D", color=COLOURS[1])
            plot.set(title=each.label, xlabel="phase")
        plots[0].set(ylabel="score")

    said = "; ".join(
        f"{each.label} phase {n}: median {np.median(v):.3g}"
        for each in found for n, v in enumerate(each.values, start=1) if v.size
    )
    return Drawing("scores", "Scores by phase; diamonds: median of the selected", said, draw)


def budget(comparison: Comparison, kind: str, unit: str) -> Drawing:
    """What every method spent, by purpose, mean over seeds."""
    purposes = ("offline_rollout", "selection", "training", "evaluation")
    rows = [row for row in comparison.rows if row.arm.finished]

    def amount(row: Any, purpose: str) -> float:
        kinds = ("generated_tokens", "forward_tokens", "backward_tokens")
        wanted = kinds if kind == "tokens" else (kind,)
        return float(np.mean([
            sum(run.cost.amounts.get(purpose, {}).get(k, 0.0) for k in wanted)
            for run in row.arm.runs
        ]))

    def draw(figure: Figure) -> None:
        plot = figure.subplots()
        places, left = np.arange(len(rows))[::-1], np.zeros(len(rows))
        for number, purpose in enumerate(purposes):
            amounts = np.array([amount(row, purpose) for row in rows])
            plot.barh(places, amounts, left=left, color=COLOURS[number],
                      hatch="//" if purpose == "evaluation" else "",
                      label=purpose.replace("_", " "))
            left += amounts
        plot.set(yticks=places, xlabel=unit)
        plot.set_yticklabels([row.arm.label for row in rows])
        figure.legend(loc="outside lower center", ncols=4)

    said = "; ".join(
        f"{row.arm.label}: "
        + ", ".join(f"{p.replace('_', ' ')} {amount(row, p):.3g}" for p in purposes)
        for row in rows
    )
    height = 1.3 + 0.4 * len(rows)
    return Drawing(f"budget-{kind}", f"Where the {kind} went", said, draw, (9.0, height))
