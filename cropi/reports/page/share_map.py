"""Accuracy by share of the pool (selector.alpha) and projection (keep), a cell for each pair."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cropi.reports.arms import TARGETED
from cropi.reports.page.drawing import Drawing, Panel
from cropi.reports.page.findings import Findings
from cropi.reports.page.grid import draw_cells
from cropi.reports.page.section import Line, Numbers, Section, percent
from cropi.reports.runs import MANIFEST, Run
from cropi.reports.statistics import Summary, summary
from cropi.tracking.flatten import flatten

ALPHA, KEEP = "selector.alpha", "selector.projector.keep"
MOST_MAPS = 6
SHOWN = 3  # keys in which maps differ, in the name of one
TEXT = (
    "Each cell is the mean targeted accuracy in percent at the end, with the number of seeds and "
    "the 95 % t-interval. Hatched cells have no finished run."
)


@dataclass(frozen=True)
class Cell:
    """Runs with one pair of values. ``rest`` counts those without a result by their state."""

    x: float
    y: float
    accuracy: Summary | None
    rest: Mapping[str, int]
    runs: tuple[Run, ...]

    def lines(self) -> list[str]:
        """What stands in the cell."""
        states = [f"{count} {state}" for state, count in self.rest.items()]
        found = self.accuracy
        if found is None:
            return states or ["missing"]
        span = [] if found.low is None else [f"[{percent(found.low)}, {percent(found.high)}]"]
        return [percent(found.mean), f"n={found.n}", *span, *states]


@dataclass(frozen=True)
class Map:
    """Cells of runs that are alike but for the pair and their seed; ``name`` says what they are."""

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    cells: Mapping[tuple[float, float], Cell]

    def cell(self, x: float, y: float) -> Cell:
        return self.cells.get((x, y), Cell(x, y, None, {}, ()))


def section(found: Findings) -> Section:
    every = maps_of([*found.runs, *found.not_begun])
    maps = every[:MOST_MAPS]
    if not maps:
        why = "the map of α by projection, as neither varies between runs that are alike otherwise"
        return Section("share-map", "Share and projection", absent=why)
    panels = [_panel(each) for each in maps]
    lines = [
        Line([each.name, f"{x:g}", f"{y:g}", ", ".join(cell.lines())], cell.runs)
        for each in maps for x in each.xs for y in each.ys for cell in [each.cell(x, y)]
    ]
    numbers = Numbers(("runs", ALPHA, KEEP, "accuracy %"), lines)
    drawing = Drawing("share-map", f"Targeted accuracy (%) by {ALPHA} and {KEEP}", panels)
    cut = f" Only the first {MOST_MAPS} of {len(every)} maps are shown." if every != maps else ""
    return Section("share-map", "Share and projection", TEXT + cut, [drawing], numbers)


def maps_of(runs: Sequence[Run]) -> list[Map]:
    """One map for each set of runs that differ by the pair and the seed alone."""
    alike: dict[str, list[tuple[float, float, Run]]] = {}
    for run in runs:
        flat = flatten(run.config)
        x, y = _number(flat.get(ALPHA)), _number(flat.get(KEEP))
        if x is not None and y is not None:
            rest = {k: v for k, v in flat.items() if k not in (ALPHA, KEEP, "seed")}
            key = json.dumps(rest, sort_keys=True, default=str)
            alike.setdefault(key, []).append((x, y, run))
    kept = [m for m in alike.values() if len({(x, y) for x, y, _ in m}) > 1]
    names = _names([members[0][2] for members in kept])
    return [_map(name, members) for name, members in zip(names, kept, strict=True)]


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known else None


def _names(firsts: Sequence[Run]) -> list[str]:
    flats = [flatten(run.config) for run in firsts]
    keys = dict.fromkeys(k for flat in flats for k in flat if k not in (ALPHA, KEEP, "seed"))
    varied = [k for k in keys if len({str(flat.get(k)) for flat in flats}) > 1]
    told = [[f"{k}={flat[k]}" for k in varied if k in flat] for flat in flats]
    return [
        ", ".join([run.method, *own[:SHOWN], *(["…"] if len(own) > SHOWN else [])])
        for run, own in zip(firsts, told, strict=True)
    ]


def _map(name: str, members: Sequence[tuple[float, float, Run]]) -> Map:
    xs = tuple(sorted({x for x, _, _ in members}))
    ys = tuple(sorted({y for _, y, _ in members}))
    pairs = dict.fromkeys((x, y) for x, y, _ in members)
    cells = {
        pair: _cell(*pair, [run for *at, run in members if tuple(at) == pair]) for pair in pairs
    }
    return Map(name, xs, ys, cells)


def _cell(x: float, y: float, runs: Sequence[Run]) -> Cell:
    values = [run.final(TARGETED) for run in runs if run.finished]
    kept = [value for value in values if value is not None]
    rest: dict[str, int] = {}
    for run in runs:
        if not run.finished:
            rest[_state(run)] = rest.get(_state(run), 0) + 1
    return Cell(x, y, summary(kept) if kept else None, rest, tuple(runs))


def _state(run: Run) -> str:
    if run.failure is not None:
        return "failed"
    return "unfinished" if (run.folder / MANIFEST).is_file() else "not begun"


def _panel(found: Map) -> Panel:
    ys = found.ys[::-1]  # the largest on top
    cells = [[found.cell(x, y) for x in found.xs] for y in ys]

    def draw(plot: Any) -> None:
        values = np.array([
            [np.nan if c.accuracy is None else c.accuracy.mean for c in row] for row in cells
        ])
        known = values[np.isfinite(values)]
        low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
        draw_cells(plot, values, [["\n".join(c.lines()) for c in row] for row in cells], low, high)
        plot.set(xlabel=ALPHA, ylabel=KEEP)
        plot.set_xticklabels([f"{x:g}" for x in found.xs])
        plot.set_yticklabels([f"{y:g}" for y in ys])

    said = "; ".join(
        f"alpha {c.x:g}, keep {c.y:g}: {', '.join(c.lines())}" for row in cells for c in row
    )
    size = 0.9 + 0.95 * len(found.xs), 0.8 + 0.75 * len(found.ys)
    return Panel(found.name, said, draw, (max(3.0, size[0]), max(2.2, size[1])))
