"""How the numbers of a comparison read: cells, headings and notes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from cropi.reports.acceleration import Acceleration, Axis
from cropi.reports.arms import is_share
from cropi.reports.comparison import Comparison, Row
from cropi.reports.items import has_items
from cropi.reports.runs import Run
from cropi.reports.statistics import Summary

HEADINGS = ("run", "accuracy %", "vs baseline", *(
    f"sooner\nin {what}" for what in ("steps", "seconds", "tokens")
))
LONGEST_STATE = 100  # characters of why a run has no numbers; its files say all of it
_AXES: tuple[Axis, ...] = ("steps", "seconds", "compute_tokens")


def headings(comparison: Comparison) -> tuple[str, ...]:
    """``HEADINGS``, or with the metric's own name where it is no share."""
    if is_share(comparison.metric):
        return HEADINGS
    return (HEADINGS[0], comparison.metric.removeprefix("eval/"), *HEADINGS[2:])


def cells(row: Row) -> list[list[str]]:
    """One list of lines a heading. Failed and unfinished rows say so and hold no numbers."""
    name = [row.arm.method, *row.arm.details, *_seeds(row)]
    if row.final is None:
        state = textwrap.shorten(row.state or "not evaluated", LONGEST_STATE, placeholder=" …")
        return [name, [state], ["-"], ["-"], ["-"], ["-"]]
    return [
        name,
        _accuracy(row),
        _versus(row),
        *(_factor_lines(row.faster.get(axis)) for axis in _AXES),
    ]


def _seeds(row: Row) -> list[str]:
    without = [f"no seed {seed}" for seed in (*row.arm.incomplete, *row.missing)]
    counted = list(row.arm.seeds)
    return [f"n={len(counted)}" if row.arm.finished else f"seed {row.arm.runs[0].seed}",
            *dict.fromkeys(without)]


def _accuracy(row: Row) -> list[str]:
    assert row.final is not None
    lines = [mean_and_deviation(row.final, row.metric)]
    if row.final.low is not None and row.final.high is not None:
        lines.append(f"[{_number(row.final.low, row)}, {_number(row.final.high, row)}]")
    if row.middle is not None and is_share(row.metric):
        lines.append(f"IQM {100 * row.middle[0]:.1f}")
        if row.middle[1] is not None and row.middle[2] is not None:
            lines.append(f"[{100 * row.middle[1]:.1f}, {100 * row.middle[2]:.1f}]")
    return lines


def _number(value: float, row: Row, sign: str = "") -> str:
    return f"{100 * value:{sign}.1f}" if is_share(row.metric) else f"{value:{sign}.4g}"


def mean_and_deviation(final: Summary, metric: str = "eval/targeted") -> str:
    """``62.1 ± 1.4``, in percent for shares; without deviation for one seed."""
    scale, digits = (100, ".1f") if is_share(metric) else (1, ".4g")
    mean = f"{scale * final.mean:{digits}}"
    return mean if final.deviation is None else f"{mean} ± {scale * final.deviation:{digits}}"


def _versus(row: Row) -> list[str]:
    found = row.versus
    if found is None:
        return ["baseline" if row.is_baseline else "-"]
    lines = [_number(found.mean, row, "+")]
    if found.low is not None and found.high is not None:
        lines.append(f"[{_number(found.low, row)}, {_number(found.high, row)}]")
    if row.p is not None:
        lines.append("p<0.001" if row.p < 0.001 else f"p={row.p:.3f}")
    return lines


def factor(found: Acceleration | None) -> str:
    """``2.66× [2.10, 3.20]``; ``< 0.81×`` where the target was never reached."""
    return " ".join(_factor_lines(found))


def _factor_lines(found: Acceleration | None) -> list[str]:
    if found is None or found.ratio is None:
        return ["-"]
    if found.bound == "at most":
        return [f"< {_short(found.ratio)}×"]
    if found.low is None or found.high is None:
        return [f"{_short(found.ratio)}×"]
    return [f"{_short(found.ratio)}×", f"[{_short(found.low)}, {_short(found.high)}]"]


def _short(ratio: float) -> str:
    """Three digits: ``0.81``, ``12.9``, ``140``. More of them would only look exact."""
    if not math.isfinite(ratio):
        return "∞"
    if ratio >= 999.5:
        return "> 999"
    return f"{ratio:.{2 if ratio < 9.995 else 1 if ratio < 99.95 else 0}f}"


def notes(comparison: Comparison) -> list[str]:
    """What the table's numbers are."""
    middle = is_share(comparison.metric) and any(row.middle for row in comparison.rows)
    when = "of the last evaluation" if comparison.metric.startswith("eval/") else "at the end"
    lines = [
        f"{comparison.metric} {when}: mean ± sample deviation over n seeds, and "
        "the mean's 95 % t-interval." + (
            " Below, the interquartile mean (IQM) over all test sets and its 95 % bootstrap "
            "interval." if middle else ""
        )
    ]
    bases = {row.baseline.label: row.target for row in comparison.rows if row.baseline is not None}
    if bases:
        each = "" if len(bases) == 1 else ", each row against the nearest of them"
        items = " and item" if has_items(comparison.metric) else ""
        lines.append(
            f"Versus {' and '.join(bases)}{each}: paired by seed{items}, 95 % interval, "
            "p corrected by Holm."
        )
    if comparison.target is not None:
        aims = {aim.rule: aim for aim in bases.values() if aim is not None} or {
            comparison.target.rule: comparison.target
        }
        reached = ", ".join(_aim(aim.value, aim.metric, rule) for rule, aim in aims.items())
        lines.append(
            f"Sooner: what the baseline spent to reach {reached} over what the row spent, every "
            "rollout and selection charged; 1 is as soon, < where it never got there. "
            "95 % intervals over seeds." + "".join(
                f" {row.arm.label} never got there."
                for row in comparison.rows if row.baseline is None and row.reached
                and row.reached["steps"].value is None
            )
        )
    lines.append("Bold: best, and significantly above every other row. - is not known.")
    return lines


def _aim(value: float, metric: str, rule: str) -> str:
    return f"{100 * value:.1f} % ({rule})" if is_share(metric) else f"{value:.4g} ({rule})"


def missing_lines(missing: Sequence[Run]) -> list[str]:
    """What a sweep has planned and nobody has begun."""
    if not missing:
        return []
    few = ", ".join(run.run_id for run in missing[:3]) + (", …" if len(missing) > 3 else "")
    return [f"Planned and not begun, in no number: {len(missing)} ({few})."]
