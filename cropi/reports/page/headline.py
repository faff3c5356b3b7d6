"""The outcome in a few sentences and figures: who ends highest, how sure, and how much sooner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cropi.reports.acceleration import Axis
from cropi.reports.comparison import Row
from cropi.reports.formats import factor
from cropi.reports.page.findings import Findings, Place
from cropi.reports.page.section import percent
from cropi.reports.runs import Run

AXES: Mapping[Axis, str] = {
    "steps": "optimizer steps", "seconds": "seconds", "compute_tokens": "tokens",
}  # fmt: skip


@dataclass(frozen=True)
class Tile:
    """A large figure, what it is, and its interval."""

    value: str
    name: str
    detail: str
    runs: Sequence[Run]


def sentences(found: Findings) -> list[str]:
    """One for each place, and one for what is in no number."""
    said = [_outcome(place) for place in found.places]
    if not any(row.final for place in found.places for row in place.rows):
        said = ["No run is finished yet."]
    return [*said, *_left_out(found)]


def tiles(found: Findings) -> list[Tile]:
    """Of the highest row; none where places have different ones."""
    if len(found.places) > 1 or (top := _top(found.places[0])) is None:
        return []
    assert top.final is not None
    name = found.places[0].label(top.arm)
    seeds = f"{top.final.n} seed{'s' if top.final.n > 1 else ''}"
    shown = [Tile(f"{percent(top.final.mean)} %", f"{name}: targeted accuracy",
                  f"{seeds}, {_interval(top)}", top.arm.runs)]  # fmt: skip
    if top.versus is not None and top.baseline is not None:
        span = "" if top.versus.low is None else (
            f"95 % {percent(top.versus.low, '+')} to {percent(top.versus.high, '+')}"
        )
        chance = "" if top.p is None else f"p = {top.p:.3f}"
        points, against = f"{percent(top.versus.mean, '+')} points", f"against {top.baseline.label}"
        shown.append(Tile(points, against, ", ".join(filter(None, (span, chance))), top.arm.runs))
    return shown + _faster_tiles(top)


def _faster_tiles(top: Row) -> list[Tile]:
    found = []
    for axis, name in AXES.items():
        each = top.faster.get(axis)
        if each is None or each.ratio is None:
            continue
        value, _, span = factor(each).partition(" [")
        way = "sooner" if each.ratio > 1 and each.bound == "exact" else (
            "later" if each.ratio < 1 else "as soon"
        )
        detail = f"95 % {span.rstrip(']').replace(', ', ' to ')}" if span else "one seed"
        found.append(Tile(value, f"{way} in {name}", detail, top.arm.runs))
    return found


def _top(place: Place) -> Row | None:
    ends = {id(row): row.final.mean for row in place.rows if row.final is not None}
    rows = [row for row in place.rows if id(row) in ends]
    return max(rows, key=lambda row: ends[id(row)], default=None)


def _interval(row: Row) -> str:
    if row.final is None or row.final.low is None:
        return "so no interval"
    return f"95 % interval {percent(row.final.low)} to {percent(row.final.high)}"


def _outcome(place: Place) -> str:
    top = _top(place)
    where = f"On {place.name}: " if place.name else ""
    if top is None or top.final is None:
        return f"{where}no run is finished yet."
    others = [row for row in place.rows if row is not top and row.final is not None]
    n = top.final.n
    text = (
        f"{where}{place.label(top.arm)} {'ends highest, at' if others else 'ends at'} "
        f"{percent(top.final.mean)} % targeted accuracy ({n} seed{'s' if n > 1 else ''}, "
        f"{_interval(top)})"
    )
    if others:
        alike = sum(row.final is not None and row.final.mean == top.final.mean for row in others)
        text += (
            ", significantly above every other row" if top.best
            else f"; {alike} more just as high" if alike
            else "; its lead over the next is not significant"
        )  # fmt: skip
    return f"{text}.{_sooner(place, top)}"


def _sooner(place: Place, top: Row) -> str:
    if top.baseline is None or top.target is None:
        return ""
    shown = [
        f"{factor(top.faster[axis])} as many {name}" for axis, name in AXES.items()
        if axis in top.faster and top.faster[axis].ratio is not None
    ]
    if not shown:
        return ""
    base, name = place.label(top.baseline), place.label(top.arm)
    return (
        f" To reach {percent(top.target.value)} % ({top.target.rule}), {base} needed "
        f"{_listed(shown)} as {name}, every rollout and selection charged (above 1× {name} is "
        "sooner, below it later)."
    )


def _listed(texts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))


def _left_out(found: Findings) -> list[str]:
    failed = sum(1 for run in found.runs if not run.finished and run.failure is not None)
    open_ = sum(1 for run in found.runs if not run.finished) - failed
    counts = {"failed": failed, "unfinished": open_, "not begun": len(found.not_begun)}
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    whole = len(found.runs) + len(found.not_begun)
    if not parts:
        return []
    return [f"Of {whole} runs, {_listed(parts)}: these are marked, and in no number."]
