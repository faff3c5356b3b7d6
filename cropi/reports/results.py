"""``cropi results``: runs gathered into one comparison, as a table or for other programs."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cropi.reports.arms import TARGETED, group
from cropi.reports.comparison import compare
from cropi.reports.details import table
from cropi.reports.filters import chosen
from cropi.reports.formats import cells, headings, missing_lines, notes
from cropi.reports.planned import not_begun
from cropi.reports.runs import find_runs
from cropi.reports.texts import TEXTS, Format, markdown
from cropi.runtime.errors import CropiError
from cropi.runtime.files import write_atomically

if TYPE_CHECKING:
    from rich.table import Table

    from cropi.reports.comparison import Comparison

PLAIN_WIDTH = 120  # columns at most when the output is no terminal
NOTE_WIDTH = 72  # columns of the notes below a narrower table
STATE_WIDTH = 16  # of why a row has no numbers


def main(
    paths: Sequence[Path],
    plot: Path | None = None,
    *,
    form: Format = "table",
    metric: str = TARGETED,
    where: Sequence[str] = (),
    group_by: Sequence[str] = (),
    baseline: str | None = None,
    target: str = "plateau",
    details: bool = False,
    out: Path | None = None,
) -> None:
    """Print a comparison of the runs in and below ``paths``; draw their curves to ``plot``.

    Raises CropiError when there is no run, or for options that make no sense of them.
    """
    if details and (out is not None or form != "table"):
        raise CropiError("--details: is a table on the screen; leave out --format and --out")
    if plot is not None:
        from cropi.reports.curves import draw, format_of

        format_of(plot)
    runs = chosen(find_runs(paths), where)
    if not runs:
        raise CropiError(f"no run is left by --where {' '.join(where)}")
    arms = group(runs, group_by)
    if details:
        _show(table(arms))
    else:
        compared = compare(arms, metric=metric, baseline=baseline, target=target)
        missing = not_begun(paths, where)
        if out is not None or form != "table":
            _write(TEXTS.get(form, markdown)(compared, missing), out)
        else:
            _show(comparison_table(compared), [*notes(compared), *missing_lines(missing)])
    if plot is not None:
        draw(arms, plot)
        print(f"curves: {plot}", file=sys.stdout if form == "table" else sys.stderr)


def _show(shown: Table, said: Sequence[str] = ()) -> None:
    """Where the output is no terminal a table is as wide as it needs to be, up to a limit."""
    from rich.console import Console

    console = Console(highlight=False)
    natural = console.measure(shown, options=console.options.update(width=1000)).maximum
    if not sys.stdout.isatty():
        console = Console(width=min(natural, PLAIN_WIDTH), highlight=False)
    console.print(shown)
    if said:
        width = min(max(natural, NOTE_WIDTH), console.width if sys.stdout.isatty() else PLAIN_WIDTH)
        print("", *(textwrap.fill(line, width) for line in said), sep="\n")


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
    else:
        write_atomically(out, lambda part: part.write_text(text, encoding="utf-8"))
        print(out)


def comparison_table(comparison: Comparison) -> Table:
    """Fits in 80 columns unless names are long: a cell has several short lines."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    result = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, leading=1, show_edge=False
    )
    widest = min(16, max((len(row.arm.method) for row in comparison.rows), default=0)) or None
    for number, heading in enumerate(headings(comparison)):
        result.add_column(heading, overflow="fold", no_wrap=number > 0, min_width=widest)
        widest = None
    short = _short_keys(comparison)
    for row in comparison.rows:
        (_, *described), *numbers = cells(row)
        name = [row.arm.method, *(short.get(text, text) for text in described)]
        if row.final is None:
            numbers[0] = textwrap.wrap(numbers[0][0], STATE_WIDTH)
        tight = [[text.replace(", ", ",") for text in cell] for cell in numbers]
        shown = [escape("\n".join(cell)) for cell in (name, *tight)]
        style = "bold" if row.best else None if row.arm.finished else "dim"
        result.add_row(*shown, style=style)
    return result


def _short_keys(comparison: Comparison) -> dict[str, str]:
    """``alpha=0.1`` for ``selector.alpha=0.1`` where no other key ends so."""
    details = dict.fromkeys(text for row in comparison.rows for text in row.arm.details)
    keys = {text: text.partition("=")[0] for text in details}
    ends = Counter(key.rpartition(".")[2] for key in set(keys.values()))
    return {
        text: text[len(key) - len(end) :] for text, key in keys.items()
        if ends[end := key.rpartition(".")[2]] == 1
    }
