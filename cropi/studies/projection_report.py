"""The projection study's table and figure: agreement and seconds over the keep ratio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cropi.reports.curves import COLOURS, MARKERS, STYLE
from cropi.runtime.files import write_atomically


def write_report(folder: Path, result: Mapping[str, Any]) -> None:
    """Writes table.md and precision.png beside the result, and prints the table."""
    text = table(result)
    write_atomically(folder / "table.md", lambda p: p.write_text(text, encoding="utf-8"))
    print(text)
    draw(result, folder / "precision.png")


def table(result: Mapping[str, Any]) -> str:
    """Markdown: a row a setting, the noise ceiling below, then the seconds."""
    at = f"precision@{result['at']:.0%}"
    sets = ", ".join(f"{name} ({n})" for name, n in result["validation"].items())
    lines = [
        f"{result['model']}: {result['parameters']:,} parameters, {result['prompts']} prompts "
        f"against {sets}; mean over seeds and validation sets [95 % interval]",
        "",
        f"| projector | keep | k | precision | Spearman | {at} |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['projector']} | {row['keep']:g} | {row['k']:,} | {row['precision']} "
        f"| {_interval(row['spearman'])} | {_interval(row['precision_at'])} |"
        for row in result["settings"]
    ]
    if ceiling := result["ceiling"]:
        lines.append(
            f"| two halves of the trajectories, exact | | | | {_interval(ceiling['spearman'])} "
            f"| {_interval(ceiling['precision_at'])} |"
        )
    if not result["seconds"]:
        return "\n".join(lines) + "\n"
    lines += ["", "| projector | keep | engine | CPU seconds a prompt | of forward and backward |",
              "|---|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| {row['projector']} | {row['keep']:g} | {row['engine']} | {row['seconds']:.3g} "
        f"| {row['ratio_to_bare']:.2f} |"
        for row in result["seconds"]
    ]
    return "\n".join(lines) + "\n"


def _interval(value: tuple[float, float, float]) -> str:
    return f"{value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}]"


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Precision with bands, and seconds, over the keep ratio (the paper's figure, with noise)."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        timed = bool(result["seconds"])
        figure = Figure(figsize=(10 if timed else 6, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, 1 + timed, squeeze=False)[0]
        quality = axes[0]
        largest = max(row["k"] for row in result["settings"])
        lines: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
        for row in result["settings"]:
            lines.setdefault((row["projector"], row["precision"], row["k"]), []).append(row)
        projectors = list(dict.fromkeys(name for name, _, _ in lines))
        for (name, precision, k), rows in lines.items():
            rows = sorted(rows, key=lambda row: row["keep"])
            x = [row["keep"] for row in rows]
            mean, low, high = zip(*[row["precision_at"] for row in rows], strict=True)
            number = projectors.index(name)
            style = "-" if precision == "float32" else ":" if precision == "float16" else "-."
            quality.plot(
                x, mean, style, color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)], alpha=1.0 if k == largest else 0.45,
                label=f"{name}, k = {k:,}" + ("" if precision == "float32" else f", {precision}"),
            )  # fmt: skip
            if k == largest and precision == "float32":
                quality.fill_between(
                    x, low, high, color=COLOURS[number % len(COLOURS)], alpha=0.15, lw=0
                )
        if ceiling := result["ceiling"]:
            mean, low, high = ceiling["precision_at"]
            quality.axhspan(low, high, color="#888888", alpha=0.15, lw=0)
            quality.axhline(mean, color="#666666", ls="--", label="two halves of the trajectories")
        quality.axhline(result["at"], color="#BBBBBB", ls=":", label="chance")
        quality.set(xscale="log", xlabel="Share of coordinates kept", ylim=(0, 1.02),
                    ylabel=f"Precision at {result['at']:.0%} against exact")  # fmt: skip
        if timed:
            _draw_seconds(axes[1], result, projectors)
        names = quality.get_legend_handles_labels()
        figure.legend(*names, loc="outside lower center", ncols=3, fontsize=8)
        write_atomically(path, lambda p: figure.savefig(p, format="png", dpi=160))


def _draw_seconds(cost: Any, result: Mapping[str, Any], projectors: list[str]) -> None:
    """Scoring over training, both engines."""
    for number, name in enumerate(projectors):
        for engine, style in (("fast", "-"), ("reference", ":")):
            own = [row for row in result["seconds"]
                   if row["projector"] == name and row["engine"] == engine]  # fmt: skip
            rows = sorted(own, key=lambda row: row["keep"])
            cost.plot(
                [row["keep"] for row in rows], [row["ratio_to_bare"] for row in rows], style,
                color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
            )  # fmt: skip
    cost.set_title("solid: fast engine, dotted: reference", fontsize=9)
    cost.axhline(1.0, color="#666666", ls="--")
    cost.annotate("forward and backward", (0.99, 1.0), xycoords=("axes fraction", "data"),
                  ha="right", va="bottom", color="#555555")  # fmt: skip
    cost.set(xscale="log", xlabel="Share of coordinates kept", ylim=(0, None),
             ylabel="CPU seconds of scoring / of training")  # fmt: skip
