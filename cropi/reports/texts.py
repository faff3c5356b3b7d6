"""A comparison as Markdown, LaTeX, CSV or JSON. Numbers come computed."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import textwrap
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest
from typing import Any, Literal

from cropi.reports.comparison import Comparison
from cropi.reports.formats import cells, headings, missing_lines, notes
from cropi.reports.runs import Run

Format = Literal["table", "markdown", "latex", "csv", "json"]
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": "$<$", ">": "$>$", "|": "$|$", "[": "{[}", "]": "{]}",
    "±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "∞": r"$\infty$", "…": r"\dots{}",
    "\N{MINUS SIGN}": "$-$", "\N{GREEK SMALL LETTER ALPHA}": r"$\alpha$", "`": "`{}",
}  # fmt: skip
# Beside ASCII and accented letters, what LaTeX shows without further packages.
_SHOWN = "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}" \
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{EN DASH}\N{EM DASH}ßæøœłÆØŒŁ"
_STATE_WIDTH = 24  # of why a row has no numbers


def markdown(comparison: Comparison, missing: Sequence[Run] = ()) -> str:
    def line(columns: Sequence[str]) -> str:
        return "| " + " | ".join(columns) + " |"

    def shown(cell: Sequence[str]) -> str:
        return "<br>".join(re.sub(r"([\\|*_<`])", r"\\\1", " ".join(t.split())) for t in cell)

    names = headings(comparison)
    lines = [line([shown([name]) for name in names]), line(["---", *["---:"] * (len(names) - 1)])]
    for row in comparison.rows:
        texts = [shown(cell) for cell in cells(row)]
        if row.best:
            texts[:2] = [f"**{text}**" for text in texts[:2]]
        lines.append(line(texts))
    said = [*notes(comparison), *missing_lines(missing)]
    return "\n".join([*lines, "", *(f"- {shown([note])}" for note in said)]) + "\n"


def latex(comparison: Comparison, missing: Sequence[Run] = ()) -> str:
    r"""A booktabs table; the preamble needs ``\usepackage{booktabs}``. A row has several lines."""
    names = headings(comparison)
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(names) - 1)}}}", r"\toprule"]
    lines += [" & ".join(map(escaped, names)) + r" \\"]
    for number, row in enumerate(comparison.rows):
        lines.append(r"\addlinespace" if number else r"\midrule")
        columns = cells(row)
        if row.final is None:
            columns[1] = textwrap.wrap(columns[1][0], _STATE_WIDTH)
        for place, texts in enumerate(zip_longest(*columns, fillvalue="")):
            name, *numbers = map(escaped, texts)
            shown = [name, *(re.sub(r"-(?=\d)", "$-$", text) for text in numbers)]
            if row.best and place == 0:
                shown[:2] = [rf"\textbf{{{text}}}" for text in shown[:2]]
            lines.append(" & ".join(shown) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    said = [*notes(comparison), *missing_lines(missing)]
    return "\n".join([*lines, *(f"% {' '.join(note.split())}" for note in said)]) + "\n"


def escaped(text: str) -> str:
    """As LaTeX text, on one line; what the standard fonts lack is named (``U+6570``)."""
    one_line = unicodedata.normalize("NFC", " ".join(text.split()))
    shown = "".join(map(_latex, one_line))
    return re.sub(r"-(?=-)", "-{}", shown)  # two would be joined to one longer dash


def _latex(sign: str) -> str:
    if sign in _LATEX:
        return _LATEX[sign]
    base, *accents = list(unicodedata.normalize("NFD", sign))
    known = base.isascii() and sign < "\u0180" and "\N{COMBINING OGONEK}" not in accents
    if (known and sign.isprintable()) or sign in _SHOWN:
        return sign
    return f"U+{ord(sign):04X}" if sign.isprintable() else ""


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """Raw numbers of every row, with the folders and commands of its runs."""
    return [
        {
            "method": row.arm.method,
            "details": list(row.arm.details),
            "state": row.state or "finished",
            "seeds": list(row.arm.seeds),
            "missing_seeds": [*row.arm.incomplete, *row.missing],
            "metric": row.metric,
            "value": None if row.final is None else asdict(row.final),
            "iqm": None if row.middle is None else dict(
                zip(("value", "low", "high"), row.middle, strict=True)
            ),
            "baseline": None if row.baseline is None else row.baseline.label,
            "versus": None if row.versus is None else {**asdict(row.versus), "p_holm": row.p},
            "best": row.best,
            "target": None if row.target is None else row.target.value,
            "reached": {axis: asdict(found) for axis, found in row.reached.items()},
            "sooner": {axis: asdict(found) for axis, found in row.faster.items()},
            "seconds": row.seconds,
            "runs": [str(run.folder) for run in row.arm.runs],
            "commands": [run.command for run in row.arm.runs],
        }
        for row in comparison.rows
    ]  # fmt: skip


def as_json(comparison: Comparison, missing: Sequence[Run] = ()) -> str:
    """An interval's end that nothing bounds is null (JSON has no infinity)."""
    whole = {
        "metric": comparison.metric,
        "baseline": comparison.baseline.label if comparison.baseline else None,
        "target": asdict(comparison.target) if comparison.target else None,
        "rows": records(comparison),
        "not_begun": [str(run.folder) for run in missing],
    }
    return json.dumps(_finite(whole), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_csv(comparison: Comparison, missing: Sequence[Run] = ()) -> str:
    """One line a row; nested numbers as ``value.mean``, lists joined with ``; ``.

    Jobs that nobody has begun are lines with a state and a folder only.
    """
    flat = [dict(_flat(record)) for record in records(comparison)]
    names = list(dict.fromkeys(name for row in flat for name in row))
    nested = {name for name in names for other in names if other.startswith(f"{name}.")}
    text = io.StringIO()
    columns = [name for name in names if name not in nested]
    writer = csv.DictWriter(
        text, columns, restval="", extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(flat)
    writer.writerows(
        {"method": run.method, "state": "not begun", "seeds": run.seed, "runs": run.folder}
        for run in missing
    )
    return text.getvalue()


def _flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            found.append((f"{prefix}{name}", "; ".join(map(str, value))))
        else:
            found.append((f"{prefix}{name}", value))
    return found


TEXTS: Mapping[Format, Callable[[Comparison, Sequence[Run]], str]] = {
    "markdown": markdown, "latex": latex, "csv": as_csv, "json": as_json,
}
