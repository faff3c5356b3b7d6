"""A table drawn as coloured cells: what is missing is hatched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cropi.reports.page.svg import INK, PAPER
from cropi.types import FloatArray

DARK, LIGHT = "#111111", "#ffffff"


def draw_cells(
    plot: Any, values: FloatArray, texts: Sequence[Sequence[str]], low: float, high: float
) -> None:
    """Cells [N, M], the first row on top, coloured by value from ``low`` to ``high``."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    rows, columns = values.shape
    for (i, j), value in np.ndenumerate(values):
        known = bool(np.isfinite(value))
        level = (value - low) / (high - low) if high > low else 0.5
        colour = colormaps["viridis"](0.15 + 0.85 * level) if known else (0.0, 0.0, 0.0, 0.0)
        plot.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, edgecolor=INK,
                                 hatch="" if known else "///", linewidth=0.5))
        ink = INK if not known else DARK if _luminance(colour) > 0.18 else LIGHT
        box = None if known else {"facecolor": PAPER, "edgecolor": "none", "pad": 2.0}
        plot.text(j, i, texts[i][j], ha="center", va="center", color=ink, fontsize=9, bbox=box)
    plot.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    plot.set(xticks=range(columns), yticks=range(rows))
    plot.tick_params(length=0)
    plot.grid(visible=False)


def _luminance(colour: Sequence[float]) -> float:
    """Relative, as WCAG has it: above 0.18 black text has the higher contrast."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
