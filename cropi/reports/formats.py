"""A comparison as a terminal table, Markdown, LaTeX, CSV or JSON. Numbers come computed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from cropi.reports.acceleration import Acceleration, Axis
from cropi.reports.comparison import Comparison, Row
from cropi.reports.statistics import Summary

Format = Literal["table", "markdown", "latex", "csv", "json"]
HEADINGS = ("run", "accuracy %", "vs baseline", "sooner: steps", "seconds", "tokens")
_AXES: tuple[Axis, ...] = ("steps", "seconds", "compute_tokens")
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "−": r"$-$", "α": r"$\alpha$",
}  # fmt: skip


def cells(row: Row) -> list[list[str]]:
    """One list of lines a heading. Failed and unfinished rows say so and hold no numbers."""
    name = [row.arm.method, *row.arm.details, _seeds(row)]
    if row.final is None:
        return [name, [row.state or "not evaluated"], ["-"], ["-"], ["-"], ["-"]]
    return [
        name,
        _accuracy(row),
        _versus(row),
        *([factor(row.faster.get(axis))] for axis in _AXES),
    ]


def _seeds(row: Row) -> str:
    several = len(row.arm.runs) > 1
    return f"n={len(row.arm.runs)}" if several else f"seed {row.arm.runs[0].seed}"


def _accuracy(row: Row) -> list[str]:
    assert row.final is not None
    lines = [mean_and_deviation(row.final)]
    if row.final.low is not None and row.final.high is not None:
        lines.append(f"[{100 * row.final.low:.1f}, {100 * row.final.high:.1f}]")
    if row.middle is not None:
        lines.append(f"IQM {100 * row.middle[0]:.1f}")
    return lines


def mean_and_deviation(final: Summary) -> str:
    """``62.1 ± 1.4`` in percent; without deviation for one seed."""
    mean = f"{100 * final.mean:.1f}"
    return mean if final.deviation is None else f"{mean} ± {100 * final.deviation:.1f}"


def _versus(row: Row) -> list[str]:
    found = row.versus
    if found is None:
        return ["-"]
    lines = [f"{100 * found.mean:+.1f}"]
    if found.low is not None and found.high is not None:
        lines.append(f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]")
    if row.p is not None:
        lines.append("p<0.001" if row.p < 0.001 else f"p={row.p:.3f}")
    return lines


def factor(found: Acceleration | None) -> str:
    """``2.66× [2.1, 3.2]``; ``≤ 0.8×`` where the target was never reached."""
    if found is None or found.ratio is None:
        return "-"
    shown = f"{found.ratio:.2f}×"
    if found.bound == "at most":
        return f"≤ {shown}"
    if found.low is None or found.high is None:
        return shown
    return f"{shown} [{found.low:.2f}, {found.high:.2f}]"


def notes(comparison: Comparison) -> list[str]:
    """What the table's numbers are."""
    lines = [
        f"Accuracy: {comparison.metric} of the last evaluation, mean ± sample deviation over "
        f"seeds, 95 % t-interval; IQM over test sets.",
    ]
    if comparison.baseline is not None:
        lines.append(
            f"Versus {comparison.baseline.label}: paired by seed and item, 95 % interval, "
            f"p corrected by Holm."
        )
    if comparison.target is not None:
        lines.append(
            f"Sooner: what the baseline spent to reach {100 * comparison.target.value:.1f} % "
            f"({comparison.target.rule}) over what the row spent, every rollout and selection "
            f"charged; ≤ where it never got there."
        )
    lines.append("Bold: best, and significantly above every other row. - is not known.")
    return lines


def markdown(comparison: Comparison) -> str:
    def line(columns: Sequence[str]) -> str:
        return "| " + " | ".join(text.replace("|", r"\|") for text in columns) + " |"

    lines = [line(HEADINGS), line(["---"] * len(HEADINGS))]
    for row in comparison.rows:
        shown = ["<br>".join(cell) for cell in cells(row)]
        if row.best:
            shown[0], shown[1] = f"**{shown[0]}**", f"**{shown[1]}**"
        lines.append(line(shown))
    return "\n".join([*lines, "", *notes(comparison)]) + "\n"


def latex(comparison: Comparison) -> str:
    r"""A booktabs table; the preamble needs ``\usepackage{booktabs}``."""
    lines = [r"\begin{tabular}{lrrrrr}", r"\toprule"]
    lines += [" & ".join(map(_escaped, HEADINGS)) + r" \\", r"\midrule"]
    for row in comparison.rows:
        shown = [_escaped(" ".join(cell)) for cell in cells(row)]
        if row.best:
            shown[:2] = [rf"\textbf{{{text}}}" for text in shown[:2]]
        lines.append(" & ".join(shown) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, *(f"% {note}" for note in notes(comparison))]) + "\n"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """Raw numbers of every row, with the folders and commands of its runs."""
    return [
        {
            "method": row.arm.method,
            "details": list(row.arm.details),
            "state": row.state or "finished",
            "seeds": [run.seed for run in row.arm.runs],
            "metric": comparison.metric,
            "accuracy": None if row.final is None else asdict(row.final),
            "iqm": None if row.middle is None else {
                "value": row.middle[0], "low": _number(row.middle[1]),
                "high": _number(row.middle[2]),
            },
            "versus": None if row.versus is None else {**asdict(row.versus), "p_holm": row.p},
            "best": row.best,
            "sooner": {axis: asdict(found) for axis, found in row.faster.items()},
            "seconds": row.seconds,
            "runs": [str(run.folder) for run in row.arm.runs],
            "commands": [run.command for run in row.arm.runs],
        }
        for row in comparison.rows
    ]  # fmt: skip


def _number(value: float) -> float | None:
    return None if value != value else value


def as_json(comparison: Comparison) -> str:
    whole = {
        "baseline": comparison.baseline.label if comparison.baseline else None,
        "target": asdict(comparison.target) if comparison.target else None,
        "rows": records(comparison),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(comparison: Comparison) -> str:
    """One line a row; nested numbers as ``accuracy.mean``, lists joined with spaces."""
    flat = [dict(_flat(record)) for record in records(comparison)]
    names = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            found.append((f"{prefix}{name}", " ".join(map(str, value))))
        else:
            found.append((f"{prefix}{name}", value))
    return found


TEXTS: Mapping[Format, Callable[[Comparison], str]] = {
    "markdown": markdown, "latex": latex, "csv": as_csv, "json": as_json,
}
