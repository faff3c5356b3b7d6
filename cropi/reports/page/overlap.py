"""How much two selections have in common, between methods and between phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cropi.reports.arms import Arm
from cropi.reports.page.drawing import Drawing, Panel
from cropi.reports.page.findings import Findings, Place
from cropi.reports.page.grid import draw_cells
from cropi.reports.page.looks import tick_label
from cropi.reports.page.section import Line, Numbers, Section
from cropi.reports.runs import Run
from cropi.types import FloatArray

TEXT = (
    "The Jaccard index of two selections: prompts that both hold over prompts that either holds. "
    "1 is the same selection, 0 nothing in common. Means over seeds; methods are compared in the "
    "last phase that is shown."
)


@dataclass(frozen=True)
class Overlap:
    """Jaccard indices [N, N], NaN for pairs that share no seed."""

    title: str
    labels: tuple[str, ...]
    values: FloatArray
    runs: tuple[tuple[Run, ...], ...]  # of each label


def section(found: Findings) -> Section:
    places = [(place, place.arms(found.selections.arms)) for place in found.places]
    methods = [o for place, arms in places if (o := of_methods(found, place, arms))]
    phases = [o for _, arms in places for arm in arms if (o := of_phases(found, arm))]
    overlaps = [*methods, *phases]
    if not overlaps:
        why = "overlaps, as there is no second method and no second selection of any"
        return Section("overlap", "Overlap", absent=why)
    drawings = [
        Drawing(f"overlap-{name}", f"Jaccard index of {what}", [_panel(o) for o in each])
        for name, what, each in (
            ("methods", "the methods' last selections", methods),
            ("phases", "selections of different phases", phases),
        ) if each
    ]
    lines = [
        Line(
            [o.title, o.labels[j], o.labels[i], _shown(o.values[i, j])],
            o.runs[j] if o.runs[i] is o.runs[j] else (*o.runs[j], *o.runs[i]),
        )
        for o in overlaps for i in range(len(o.labels)) for j in range(i)
    ]
    numbers = Numbers(("between", "one", "other", "Jaccard index"), lines)
    return Section("overlap", "Overlap", TEXT + found.selections.limits, drawings, numbers)


def of_methods(found: Findings, place: Place, arms: Sequence[Arm]) -> Overlap | None:
    """Of the last phase, mean over the seeds that both have; None for fewer than two methods."""
    if len(arms) < 2:
        return None
    seeds = sorted({run.seed for arm in arms for run in arm.runs})
    by_seed = np.full((len(seeds), len(arms), len(arms)), np.nan)
    for table, seed in zip(by_seed, seeds, strict=True):
        here = [(at, run) for at, arm in enumerate(arms) for run in arm.runs if run.seed == seed]
        last = [found.selections.choices[run.folder][-1] for _, run in here]
        rows = np.array([at for at, _ in here])
        table[np.ix_(rows, rows)] = found.selections.overlaps(last)
    known = np.isfinite(by_seed)
    counts = known.sum(axis=0)
    values = np.divide(
        np.where(known, by_seed, 0.0).sum(axis=0), counts,
        out=np.full(counts.shape, np.nan), where=counts > 0,
    )  # fmt: skip
    title = "Methods" + (f", {place.name}" if place.name else "")
    labels = tuple(place.label(arm) for arm in arms)
    return Overlap(title, labels, values, tuple(arm.runs for arm in arms))


def of_phases(found: Findings, arm: Arm) -> Overlap | None:
    """Mean over seeds; None for one phase, and where the selection never changes."""
    phases = found.selections.phases(arm)
    if phases < 2:
        return None
    values: FloatArray = np.mean([
        found.selections.overlaps(found.selections.choices[run.folder][:phases])
        for run in arm.runs
    ], axis=0)  # fmt: skip
    if np.all(values == 1.0):
        return None
    labels = tuple(str(number + 1) for number in range(phases))
    return Overlap(f"Phases of {found.label(arm)}", labels, values, (arm.runs,) * phases)


def _shown(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def _panel(found: Overlap) -> Panel:
    size = len(found.labels)
    labels = [tick_label(label) for label in found.labels]
    longest = max(map(len, found.labels))

    def draw(plot: Any) -> None:
        texts = [[_shown(value) for value in row] for row in found.values]
        draw_cells(plot, found.values, texts, 0.0, 1.0)
        turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        flat = [label.replace("\n", " ") for label in labels]
        plot.set_xticklabels(flat, **(turned if longest > 2 else {}))
        plot.set_yticklabels(labels)
        plot.set_aspect("equal")

    said = "; ".join(
        f"{found.labels[i]} and {found.labels[j]}: {_shown(found.values[i, j])}"
        for i in range(size) for j in range(i)
    )
    side = 1.2 + 0.06 * min(24, longest) + 0.48 * size
    return Panel(found.title, said, draw, (max(3.2, side), max(2.6, side)))
