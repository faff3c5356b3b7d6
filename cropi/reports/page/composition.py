"""What was selected, by family and phase, beside what the pool holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cropi.reports.arms import Arm
from cropi.reports.page.drawing import Drawing, Key, Panel
from cropi.reports.page.findings import Findings, Place
from cropi.reports.page.looks import PATCHES, patch_look
from cropi.reports.page.section import Line, Numbers, Section, percent

MOST_FAMILIES = 2 * PATCHES
OTHERS = "other families"
TEXT = (
    "Of all prompts that a method selected in a phase, over its seeds, how many come from each "
    "family. The first column is the whole pool: what a method takes more of than the pool holds, "
    "it prefers."
)


def section(found: Findings) -> Section:
    known = [arm for arm in found.selections.arms if found.selections.pools.get(arm.setting)]
    shown = [(place, arms) for place in found.places
             if (arms := place.arms(known)) and len(_families(found, arms)) > 1]
    if not shown:
        why = "what was selected by family, as no finished run has prompts of more than one family"
        return Section("selection", "Selection", absent=why)
    drawings = [_drawing(found, place, arms, n) for n, (place, arms) in enumerate(shown)]
    families = list(dict.fromkeys(f for _, arms in shown for f in _families(found, arms)))
    lines = [
        Line([found.label(arm), name, *(percent(of.get(family)) for family in families)], arm.runs)
        for _, arms in shown for arm in arms
        for name, of in shares(found, arm, _families(found, arms)).items()
    ]
    numbers = Numbers(("row", "phase", *(f"{family} %" for family in families)), lines)
    return Section("selection", "Selection", TEXT + found.selections.limits, drawings, numbers)


def shares(
    found: Findings, arm: Arm, families: Sequence[str]
) -> Mapping[str, Mapping[str, float]]:
    """Share of each family in the pool and in every phase (``pool``, ``1``, ``2``, …)."""
    counts = {"pool": found.selections.pools.get(arm.setting, Counter())}
    for phase in range(found.selections.phases(arm)):
        counts[str(phase + 1)] = found.selections.families(arm, phase)
    return {
        name: _shares(count, families) for name, count in counts.items() if count.total()
    }


def _shares(counts: Counter[str], families: Sequence[str]) -> dict[str, float]:
    """Families that are not named count as ``OTHERS`` if that is."""
    found = {family: counts.get(family, 0) / counts.total() for family in families}
    if OTHERS in found:
        found[OTHERS] = 1.0 - sum(share for name, share in found.items() if name != OTHERS)
    return found


def _families(found: Findings, arms: Sequence[Arm]) -> list[str]:
    """The commonest ones of the pool and of what was chosen, by name."""
    counts: Counter[str] = Counter()
    for arm in arms:
        counts.update(found.selections.pools.get(arm.setting, Counter()))
        for phase in range(found.selections.phases(arm)):
            counts.update(found.selections.families(arm, phase))
    if len(counts) <= MOST_FAMILIES:
        return sorted(counts)
    return [*sorted(name for name, _ in counts.most_common(MOST_FAMILIES - 1)), OTHERS]


def _drawing(found: Findings, place: Place, arms: Sequence[Arm], number: int) -> Drawing:
    families = _families(found, arms)
    keys = [Key(family, patch=patch_look(at)) for at, family in enumerate(families)]
    panels = [_panel(place.label(arm), shares(found, arm, families), families) for arm in arms]
    title = "Selected prompts by family" + (f" on {place.name}" if place.name else "")
    return Drawing(f"selection-{number}", title, panels, keys)


def _panel(
    label: str, columns: Mapping[str, Mapping[str, float]], families: Sequence[str]
) -> Panel:
    def draw(plot: Any) -> None:
        places = np.arange(len(columns), dtype=float)
        places[1:] += 0.4  # the pool stands apart
        bottom = np.zeros(len(columns))
        for at, family in enumerate(families):
            heights = np.array([100 * column[family] for column in columns.values()])
            plot.bar(places, heights, 0.85, bottom=bottom, **patch_look(at))
            bottom += heights
        plot.set(xticks=places, xlabel="phase", ylabel="share of prompts (%)", ylim=(0, 100))
        plot.set_xticklabels(list(columns))
        plot.grid(visible=False)

    said = "; ".join(
        f"{'pool' if name == 'pool' else f'phase {name}'}: "
        + ", ".join(f"{family} {percent(column[family])} percent" for family in families)
        for name, column in columns.items()
    )
    return Panel(label, said, draw, (3.4, 2.9))
