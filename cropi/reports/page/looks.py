"""How things of a figure look: colours with a second cue, labels and numbers that fit."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from cropi.reports.curves import COLOURS, MARKERS
from cropi.reports.page.svg import INK

PATCHES = len(COLOURS) - 1  # colours of patches
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo", "---")


def line_look(number: int) -> dict[str, Any]:
    """Colour and marker of the ``number``-th thing of a figure, alike in every panel."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[(number + number // len(COLOURS)) % len(MARKERS)],
        "markersize": 5,
    }


def patch_look(number: int) -> dict[str, Any]:
    """Colour and hatching of the ``number``-th thing of a figure; black would hide a hatching."""
    row, column = divmod(number, PATCHES)
    return {"facecolor": COLOURS[column], "hatch": HATCHES[row % len(HATCHES)], "edgecolor": INK,
            "linewidth": 0.4}


def tick_label(text: str) -> str:
    """On two lines at most."""
    return "\n".join(wrap(text, 24, max_lines=2, placeholder="…"))


def short(amount: float) -> str:
    """A number for an axis: ``0``, ``250``, ``1.5M``."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= size:
            return f"{amount / size:g}{suffix}"
    return f"{amount:g}"
