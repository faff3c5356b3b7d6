"""Figures of the page: panels with a title, a text for those who cannot see, and a shared key."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from cropi.reports.page.svg import GRID, INK, embedded
from cropi.runtime.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = {
    "font.size": 10, "axes.titlesize": 10, "text.parse_math": False,
    "font.family": "sans-serif", "svg.fonttype": "none", "svg.hashsalt": "cropi",
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "axes.titlecolor": INK,
    "xtick.color": INK, "ytick.color": INK, "hatch.color": INK, "hatch.linewidth": 0.6,
    "axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none",
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8,
    "axes.grid": True, "grid.color": GRID, "axes.axisbelow": True, "legend.frameon": False,
}  # fmt: skip
ON_PAPER = {**STYLE, "grid.color": "#E0E0E0"}
COLUMNS = 3  # of panels, in files
LETTER = 0.085  # inches


@dataclass(frozen=True)
class Panel:
    """One plot. ``said`` tells its numbers to those who cannot see it; ``size`` in inches."""

    title: str
    said: str
    draw: Callable[[Any], None]
    size: tuple[float, float] = (4.0, 3.0)


@dataclass(frozen=True)
class Key:
    """An entry of a figure's key: how a line or a filled patch looks, and what it stands for."""

    label: str
    line: Mapping[str, Any] = field(default_factory=dict)
    patch: Mapping[str, Any] = field(default_factory=dict)

    def artist(self) -> Any:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        return Patch(**self.patch) if self.patch else Line2D([], [], **self.line)


@dataclass(frozen=True)
class Drawing:
    """Panels that belong together. ``name`` is for ids and files: letters, digits and dashes."""

    name: str
    title: str
    panels: Sequence[Panel]
    keys: Sequence[Key] = ()

    @property
    def width(self) -> int:
        """Pixels that a panel needs to be read."""
        return round(70 * max(panel.size[0] for panel in self.panels))

    def svgs(self) -> list[tuple[Panel, str]]:
        """Every panel and its SVG, for the page."""
        named = ((panel, f"{self.name}-{number}") for number, panel in enumerate(self.panels))
        return [
            (panel, embedded(_one(panel), name, panel.title or self.title, panel.said))
            for panel, name in named
        ]

    def key_svgs(self) -> list[tuple[str, str]]:
        """(SVG, label) of every entry of the key, for the page."""
        return [
            (embedded(_sample(key), f"{self.name}-key-{number}"), key.label)
            for number, key in enumerate(self.keys)
        ]

    def write(self, folder: Path) -> None:
        """As one SVG and one PNG file, dark on white."""
        for suffix in ("svg", "png"):
            def save(part: Path, suffix: str = suffix) -> None:
                self._whole().savefig(part, format=suffix, dpi=160, facecolor="white")

            from matplotlib import rc_context

            with rc_context(ON_PAPER):
                write_atomically(folder / f"{self.name}.{suffix}", save)

    def _whole(self) -> Figure:
        columns = min(COLUMNS, len(self.panels))
        rows = math.ceil(len(self.panels) / columns)
        width = columns * max(panel.size[0] for panel in self.panels)
        height = rows * max(panel.size[1] for panel in self.panels)
        names = ["\n".join(wrap(key.label, int(width / LETTER) - 8)) for key in self.keys]
        longest = LETTER * (8 + max((len(line) for name in names for line in name.split("\n")),
                                    default=0))
        key_columns = max(1, int(width / longest))
        key_rows = math.ceil(len(names) / key_columns)
        figure = _empty(width, height + 0.25 * key_rows + 0.4)
        figure.suptitle(self.title)
        places = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, place in zip(self.panels, places, strict=False):
            panel.draw(place)
            place.set_title(panel.title)
        for place in places[len(self.panels) :]:
            place.set_axis_off()
        if self.keys:
            figure.legend(
                [key.artist() for key in self.keys], names, loc="outside lower center",
                ncols=key_columns,
            )  # fmt: skip
        return figure


def _empty(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _one(panel: Panel) -> Figure:
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = _empty(*panel.size)
        panel.draw(figure.subplots())
    return figure


def _sample(key: Key) -> Figure:
    from matplotlib import rc_context
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    with rc_context(STYLE):
        figure = _empty(0.4, 0.2)
        figure.add_artist(
            Rectangle((0.05, 0.1), 0.9, 0.8, **key.patch) if key.patch
            else Line2D([0.02, 0.5, 0.98], [0.5] * 3, markevery=[1], **key.line)
        )  # fmt: skip
    return figure
