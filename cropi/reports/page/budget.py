"""Where time and tokens went, by purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cropi.reports.acceleration import WEIGHTS
from cropi.reports.arms import Arm
from cropi.reports.details import compact
from cropi.reports.page.drawing import Drawing, Key, Panel
from cropi.reports.page.findings import Findings
from cropi.reports.page.looks import patch_look, short, tick_label
from cropi.reports.page.section import Line, Numbers, Section
from cropi.reports.runs import CHARGED

PURPOSES: Mapping[str, str] = {
    "offline_rollout": "rollouts", "selection": "selection", "training": "training",
    "evaluation": "evaluation (not charged)",
}  # fmt: skip
KINDS: Mapping[str, str] = {"seconds": "seconds", "compute_tokens": "tokens"}
MOST_BARS = 16
TEXT = (
    "Means over seeds, for whole runs. Tokens count by their passes: generated 1, forward 1, "
    "backward 2. Evaluation is hatched: it is measured, and charged to no method."
)


def amount(arm: Arm, purpose: str, kind: str) -> float:
    """Mean over the arm's runs; kinds are those of ``WEIGHTS``."""
    return float(np.mean([
        sum(w * run.cost.amounts.get(purpose, {}).get(k, 0.0) for k, w in WEIGHTS[kind].items())
        for run in arm.runs
    ]))


def section(found: Findings) -> Section:
    arms = found.finished
    if not arms:
        return Section("budget", "Budget", absent="budgets, as no run is finished")
    keys = [Key(name, patch=_look(at)) for at, name in enumerate(PURPOSES.values())]
    panels = [_panel(found, arms[:MOST_BARS], kind) for kind in KINDS]
    headings = ["row"]
    for kind in KINDS.values():
        headings += [*(f"{kind}: {name}" for name in PURPOSES.values()), f"{kind} charged"]
    text = TEXT if len(arms) <= MOST_BARS else f"{TEXT} Only the first {MOST_BARS} rows are drawn."
    return Section(
        "budget", "Budget", text,
        [Drawing("budget", "What was spent", panels, keys)],
        Numbers(headings, [Line(_cells(found, arm), arm.runs) for arm in arms]),
    )  # fmt: skip


def _cells(found: Findings, arm: Arm) -> list[str]:
    cells = [found.label(arm)]
    for kind in KINDS:
        cells += [compact(amount(arm, purpose, kind)) for purpose in PURPOSES]
        cells.append(compact(sum(amount(arm, purpose, kind) for purpose in CHARGED)))
    return cells


def _look(at: int) -> dict[str, Any]:
    hatch = "///" if list(PURPOSES)[at] == "evaluation" else ""
    return {**patch_look(at), "hatch": hatch}


def _panel(found: Findings, arms: tuple[Arm, ...], kind: str) -> Panel:
    labels = [tick_label(found.label(arm)) for arm in arms]
    amounts = {purpose: np.array([amount(a, purpose, kind) for a in arms]) for purpose in PURPOSES}

    def draw(plot: Any) -> None:
        places, left = np.arange(len(arms))[::-1], np.zeros(len(arms))
        for at, each in enumerate(amounts.values()):
            plot.barh(places, each, 0.7, left=left, **_look(at))
            left += each
        plot.set(yticks=places, xlabel=KINDS[kind])
        plot.set_yticklabels(labels)
        plot.xaxis.set_major_formatter(lambda value, _: short(value))
        plot.locator_params(axis="x", nbins=5)
        plot.grid(visible=False, axis="y")

    said = "; ".join(
        f"{found.label(arm)}: "
        + ", ".join(f"{PURPOSES[p]} {compact(each[at])}" for p, each in amounts.items())
        for at, arm in enumerate(arms)
    )
    height = 0.9 + 0.3 * len(arms) + 0.12 * sum(label.count("\n") for label in labels)
    return Panel(KINDS[kind].capitalize(), said, draw, (4.6, max(1.6, height)))
