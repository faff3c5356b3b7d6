"""How a selector's scores are spread over the pool, phase by phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cropi.reports.arms import Arm
from cropi.reports.curves import COLOURS
from cropi.reports.page.drawing import Drawing, Key, Panel
from cropi.reports.page.findings import Findings
from cropi.reports.page.section import Line, Numbers, Section
from cropi.reports.page.svg import INK
from cropi.types import FloatArray

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
HEADINGS = ("row", "phase", "prompts with a score", *(f"{100 * q:g} %" for q in QUANTILES),
            "selected prompts", "median of the selected")
BOX, CHOSEN = {"facecolor": "none", "edgecolor": INK}, {"facecolor": COLOURS[1], "alpha": 0.75}
TEXT = (
    "Boxes hold the middle half of the pool's scores, whiskers 90 % of them, all seeds together; "
    "coloured boxes are the selected prompts. Scores of different methods have different units."
)


@dataclass(frozen=True)
class Spread:
    """Valid scores of a phase over all seeds [N], and of the selected prompts [M]."""

    scores: FloatArray
    chosen: FloatArray


def section(found: Findings) -> Section:
    spreads = [(arm, spreads_of(found, arm)) for arm in found.selections.arms]
    shown = [(found.label(arm), arm, each) for arm, each in spreads if any(map(_differ, each))]
    if not shown:
        why = "score distributions, as no finished method scores prompts apart"
        return Section("scores", "Scores", absent=why)
    text = TEXT + found.selections.limits
    keys = [Key("the pool", patch=BOX), Key("selected", patch=CHOSEN)]
    drawing = Drawing("scores", "Scores by phase", [_panel(s[0], s[2]) for s in shown], keys)
    lines = [
        Line([label, str(phase), *_numbers(spread)], arm.runs)
        for label, arm, each in shown for phase, spread in enumerate(each, start=1)
    ]
    return Section("scores", "Scores", text, [drawing], Numbers(HEADINGS, lines))


def spreads_of(found: Findings, arm: Arm) -> list[Spread]:
    """One for each phase that all seeds have."""
    choices = [found.selections.choices[run.folder] for run in arm.runs]
    return [
        Spread(
            np.concatenate([each[phase].scores for each in choices]),
            np.concatenate([each[phase].chosen_scores for each in choices]),
        )
        for phase in range(found.selections.phases(arm))
    ]


def _differ(spread: Spread) -> bool:
    return bool(spread.scores.size and spread.scores.min() < spread.scores.max())


def _numbers(spread: Spread) -> list[str]:
    def at(scores: FloatArray, q: float) -> str:
        return f"{np.quantile(scores, q):.3g}" if scores.size else "-"

    shown = [at(spread.scores, q) for q in QUANTILES]
    return [f"{spread.scores.size:,}", *shown, f"{spread.chosen.size:,}", at(spread.chosen, 0.5)]


def _panel(label: str, spreads: list[Spread]) -> Panel:
    def draw(plot: Any) -> None:
        places = np.arange(1, len(spreads) + 1)
        for side, look, values in (
            (-0.2, BOX, [spread.scores for spread in spreads]),
            (0.2, CHOSEN, [spread.chosen for spread in spreads]),
        ):
            lines = {name: {"color": INK, "linewidth": 0.9}
                     for name in ("medianprops", "whiskerprops", "capprops")}
            plot.boxplot(values, positions=places + side, widths=0.32, whis=(5, 95),
                         showfliers=False, patch_artist=True, boxprops=look,
                         manage_ticks=False, **lines)
        plot.set(xticks=places, xlabel="phase", ylabel="score", xlim=(0.4, len(spreads) + 0.6))

    said = "; ".join(
        f"phase {number}: median {np.median(spread.scores):.3g}, "
        f"of the selected {np.median(spread.chosen):.3g}"
        for number, spread in enumerate(spreads, start=1)
        if spread.scores.size and spread.chosen.size
    )
    return Panel(label, said, draw, (3.4, 2.8))
