"""Accuracy over steps and over seconds, one line a method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cropi.reports.arms import TARGETED, Arm
from cropi.runtime.errors import CropiError
from cropi.runtime.files import write_atomically
from cropi.types import FloatArray

# Okabe and Ito's colours that stay apart for colour-blind readers, without the pale yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # a second cue, and for more arms than colours
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.fonttype": "none",
}


def draw(arms: Sequence[Arm], path: Path) -> None:
    """Write a figure in the format of ``path``'s suffix (.png, .svg, .pdf).

    Raises CropiError for another suffix or when no run was evaluated.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = [arm for arm in arms if arm.mean_curve(TARGETED).steps.size]
    if not drawn:
        raise CropiError("none of these runs has a targeted accuracy to draw yet")
    kind = format_of(path)
    with rc_context(STYLE):
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        by_steps, by_seconds = figure.subplots(1, 2, sharey=True)
        labels = list(dict.fromkeys(arm.label for arm in drawn))
        for arm in drawn:
            _line(arm, by_steps, by_seconds, labels.index(arm.label))
        by_steps.set(xlabel="Optimizer steps", ylabel="Targeted accuracy (%)")
        by_seconds.set(xlabel="Seconds of rollouts, selection and training")
        by_seconds.set_xlim(left=0)  # what is spent before the first step is seen as a gap
        lines, names = by_steps.get_legend_handles_labels()
        figure.legend(lines, names, loc="outside lower center", ncols=min(3, len(drawn)))
        write_atomically(path, lambda part: figure.savefig(part, format=kind, dpi=160))


def format_of(path: Path) -> str:
    """What is drawn, by the suffix. Raises CropiError for one that is not drawn."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise CropiError(f"cannot draw {path}: the name must end in .png, .svg or .pdf")
    return kind


def _line(arm: Arm, by_steps: Any, by_seconds: Any, index: int) -> None:
    mean = arm.mean_curve(TARGETED)
    look = {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[(index + index // len(COLOURS)) % len(MARKERS)],
        "markersize": 4,
        "markevery": max(1, mean.steps.size // 15),
        "linestyle": "-" if arm.finished else "--",
        "label": _label(arm),
    }
    for axes, x in ((by_steps, mean.steps), (by_seconds, mean.seconds)):
        axes.plot(x, 100 * mean.values, **look)
        if len(arm.runs) > 1:
            half = 100 * _deviation(arm)
            axes.fill_between(
                x, 100 * mean.values - half, 100 * mean.values + half,
                color=look["color"], alpha=0.18, linewidth=0,
            )


def _deviation(arm: Arm) -> FloatArray:
    """Sample standard deviation over seeds at each shared step, float64 [E]."""
    deviation: FloatArray = np.std(
        [curve.values for curve in arm.curves(TARGETED)], axis=0, ddof=1
    )
    return deviation


def _label(arm: Arm) -> str:
    if not arm.finished:
        return f"{arm.label}, seed {arm.runs[0].seed} (unfinished)"
    return arm.label if len(arm.runs) == 1 else f"{arm.label} (n={len(arm.runs)}, ± sd)"
