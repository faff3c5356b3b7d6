"""Arms beside each other: how good, how sure, how much sooner, at what cost. Numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cropi.reports.acceleration import AXES, Acceleration, Axis, Target, acceleration, target_of
from cropi.reports.arms import TARGETED, Arm
from cropi.reports.runs import charged_seconds
from cropi.reports.statistics import Difference, Summary, difference, holm, iqm, stratified, summary
from cropi.runtime.errors import CropiError, did_you_mean
from cropi.types import FloatArray

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Row:
    """One arm. What is not known is None and never averaged over."""

    arm: Arm
    final: Summary | None  # of the metric, over seeds
    middle: tuple[float, float, float] | None  # IQM over test sets, with its interval
    versus: Difference | None  # paired with the baseline, by seed and item
    p: float | None  # of that, corrected for all rows (Holm)
    best: bool  # highest, and significantly above every other finished row
    faster: Mapping[Axis, Acceleration] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """``""``, ``failed: …`` or ``unfinished``."""
        failures = [run.failure for run in self.arm.runs if run.failure is not None]
        if failures and not self.arm.finished:
            return f"failed: {failures[0]['error']}"
        return "" if self.arm.finished else "unfinished"

    @property
    def seconds(self) -> float:
        return float(np.mean([charged_seconds(run.cost) for run in self.arm.runs]))


@dataclass(frozen=True)
class Comparison:
    """All rows, what they are compared with, and the target of the accelerations."""

    rows: tuple[Row, ...]
    metric: str
    baseline: Arm | None
    target: Target | None


def compare(
    arms: Sequence[Arm],
    *,
    metric: str = TARGETED,
    baseline: str | None = None,
    target: str = "plateau",
) -> Comparison:
    """Every arm against the baseline: the method or label named, else ``full``, else none.

    Only arms of the baseline's setting (benchmark and evaluation) are compared with it. Raises
    CropiError for a baseline that is not there.
    """
    against = _baseline(arms, baseline)
    aim = None
    if against is not None and against.mean_curve(TARGETED).values.size:
        aim = target_of(against, target)
    items = {id(arm): _items(arm, metric) for arm in arms if arm.finished}
    pairs = [
        None if against is None or not _comparable(arm, against)
        else difference(items[id(arm)], items[id(against)])
        for arm in arms
    ]
    corrected = iter(holm([d.p for d in pairs if d is not None and d.p is not None]))
    best = _best(arms, metric, items)
    rows = []
    for arm, pair in zip(arms, pairs, strict=True):
        faster: dict[Axis, Acceleration] = {}
        if aim is not None and against is not None and _comparable(arm, against):
            faster = {axis: acceleration(against, arm, aim, axis) for axis in AXES}
        p = next(corrected) if pair is not None and pair.p is not None else None
        rows.append(Row(arm, _final(arm, metric), _middle(arm), pair, p, arm is best, faster))
    return Comparison(tuple(rows), metric, against, aim)


def _baseline(arms: Sequence[Arm], name: str | None) -> Arm | None:
    finished = [arm for arm in arms if arm.finished]
    found = [arm for arm in finished if (name or "full") in (arm.label, arm.method)]
    if not found and name is not None:
        known = [arm.label for arm in finished]
        raise CropiError(
            f"--baseline {name}: no finished run is called so{did_you_mean(name, known)}; "
            f"there are {', '.join(known) or 'none'}"
        )
    return found[0] if found else None


def _comparable(arm: Arm, baseline: Arm) -> bool:
    return arm.finished and arm is not baseline and arm.setting == baseline.setting


def _final(arm: Arm, metric: str) -> Summary | None:
    values = [run.curve(metric).values for run in arm.runs]
    if not arm.finished or any(not v.size for v in values):
        return None
    return summary([float(v[-1]) for v in values])


def _items(arm: Arm, metric: str) -> dict[int, dict[str, float]]:
    """seed -> item -> correctness of the last evaluation, where it was kept."""
    sets = None if metric == TARGETED else [metric.split("/")[1]]
    found = {run.seed: run.outcomes(sets) for run in arm.runs}
    return {seed: items for seed, items in found.items() if items}


def _middle(arm: Arm) -> tuple[float, float, float] | None:
    """Over the test sets, of two or more."""
    if not arm.finished:
        return None
    rows: list[dict[str, float]] = []
    for run in arm.runs:
        names = [r for r in run.records if r.kind == "evaluation"]
        last = names[-1].metrics if names else {}
        rows.append({n: v for n, v in last.items() if n.count("/") == 2 and "/avg@" in n})
    shared = sorted(set.intersection(*(set(row) for row in rows)))
    if len(shared) < 2:
        return None
    scores: FloatArray = np.array([[row[name] for name in shared] for row in rows])
    low, high = stratified(scores) if len(rows) > 1 else (np.nan, np.nan)
    return iqm(scores), float(low), float(high)


def _best(
    arms: Sequence[Arm], metric: str, items: Mapping[int, dict[int, dict[str, float]]]
) -> Arm | None:
    """The highest finished arm, if it is significantly above every other of its setting."""
    final = {id(arm): _final(arm, metric) for arm in arms}
    ranked = sorted(
        (arm for arm in arms if final[id(arm)] is not None),
        key=lambda arm: final[id(arm)].mean, reverse=True,  # type: ignore[union-attr]
    )
    if len(ranked) < 2 or len({arm.setting for arm in ranked}) > 1:
        return None
    top, *others = ranked
    pairs = [difference(items[id(top)], items[id(arm)]) for arm in others]
    p_values = [1.0 if d is None or d.p is None or d.mean <= 0 else d.p for d in pairs]
    return top if max(holm(p_values)) < SIGNIFICANT else None
