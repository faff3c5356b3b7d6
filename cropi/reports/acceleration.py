"""How much sooner a method gets somewhere, with all that it spent counted from the start.

One definition (docs/results.md). The curve of a method is the mean over its seeds, at the steps all
of them evaluated, made monotone by its running maximum and joined by lines. The target is, unless
said otherwise, 95 % of the baseline's plateau, the mean of its last three evaluations. The
acceleration is what the baseline needed to reach it over what the method needed. A method that
never gets there needed more than it spent: its acceleration is at most that ratio, and it is never
left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cropi.reports.arms import TARGETED, Arm
from cropi.reports.runs import CHARGED, Run, cost_of
from cropi.runtime.errors import CropiError
from cropi.runtime.seeds import stream
from cropi.tracking.metrics_file import Record
from cropi.types import FloatArray

Axis = Literal["steps", "seconds", "generated_tokens", "compute_tokens"]
AXES: tuple[Axis, ...] = ("steps", "seconds", "generated_tokens", "compute_tokens")
PLATEAU_EVALUATIONS = 3
LEVEL = 0.95
DRAWS = 2000


@dataclass(frozen=True)
class Target:
    """An accuracy to reach, and where it comes from."""

    value: float
    rule: str


@dataclass(frozen=True)
class Reached:
    """What was spent when a curve reached a target; None when it never did, by ``last``."""

    value: float | None
    last: float


@dataclass(frozen=True)
class Acceleration:
    """Baseline over method. ``at most``: the method never reached the target.

    ``undefined``: the baseline did not. ``low`` and ``high`` are a 95 % bootstrap interval over
    seeds, None with one seed.
    """

    ratio: float | None
    low: float | None
    high: float | None
    bound: Literal["exact", "at most", "undefined"]
    n: int


def target_of(baseline: Arm, rule: str | float = "plateau") -> Target:
    """``plateau``, ``final`` (the strict "matches the final value"), or an accuracy in [0, 1].

    Raises CropiError when the baseline was never evaluated, or for another rule.
    """
    values = baseline.mean_curve(TARGETED).values
    if not values.size:
        raise CropiError(f"{baseline.label} has no evaluation to take a target from")
    if rule == "plateau":
        plateau = float(np.mean(values[-PLATEAU_EVALUATIONS:]))
        return Target(LEVEL * plateau, f"{LEVEL:.0%} of the plateau of {baseline.label}")
    if rule == "final":
        return Target(float(values[-1]), f"the final accuracy of {baseline.label}")
    try:
        value = float(rule)
    except ValueError as error:
        raise CropiError(f"--target {rule}: plateau, final, or a number in [0, 1]") from error
    if not 0.0 <= value <= 1.0:
        raise CropiError(f"--target {rule}: an accuracy lies in [0, 1]")
    return Target(value, f"{value:.1%}")


def spent(
    run: Run, axis: Axis, metric: str = TARGETED
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(steps, amounts, values) of a metric's evaluations, float64 [E] each.

    Amounts are charged from the start of the run: every rollout, every selection, all training.
    ``compute_tokens`` weighs a token by its passes: 1 generated, 1 forward, 2 backward.
    """
    found = {record.step: record for record in run.records if metric in record.metrics}
    steps = np.array(sorted(found), dtype=float)
    values = np.array([found[int(step)].metrics[metric] for step in steps])
    if axis == "steps":
        return steps, steps, values
    return steps, np.array([_amount(found[int(step)], axis) for step in steps]), values


def _amount(record: Record, axis: Axis) -> float:
    amounts = cost_of(record).amounts
    weights = {
        "seconds": {"seconds": 1.0},
        "generated_tokens": {"generated_tokens": 1.0},
        "compute_tokens": {"generated_tokens": 1.0, "forward_tokens": 1.0, "backward_tokens": 2.0},
    }[axis]
    return sum(
        weight * amounts.get(purpose, {}).get(kind, 0.0)
        for purpose in CHARGED for kind, weight in weights.items()
    )


def reach(arm: Arm, target: Target, axis: Axis) -> Reached:
    """What the mean over the arm's seeds had spent when it reached the target."""
    return _reach([spent(run, axis) for run in arm.runs], target.value)


def _reach(curves: Sequence[tuple[FloatArray, FloatArray, FloatArray]], level: float) -> Reached:
    shared = set.intersection(*(set(steps) for steps, _, _ in curves))
    if not shared:
        return Reached(None, 0.0)
    kept = [np.isin(steps, list(shared)) for steps, _, _ in curves]
    x = np.mean([c[1][keep] for c, keep in zip(curves, kept, strict=True)], axis=0)
    y = np.mean([c[2][keep] for c, keep in zip(curves, kept, strict=True)], axis=0)
    best = np.maximum.accumulate(y)
    over = np.flatnonzero(best >= level)
    if not over.size:
        return Reached(None, float(x[-1]))
    i = int(over[0])
    if i == 0:
        return Reached(float(x[0]), float(x[-1]))
    return Reached(float(np.interp(level, best[i - 1 : i + 1], x[i - 1 : i + 1])), float(x[-1]))


def acceleration(
    baseline: Arm, arm: Arm, target: Target, axis: Axis, *, seed: int = 0, draws: int = DRAWS
) -> Acceleration:
    """How much sooner ``arm`` reaches the target than ``baseline``.

    The interval draws seeds anew, in pairs where both have the same ones, else each by itself.
    """
    theirs = {run.seed: spent(run, axis) for run in baseline.runs}
    ours = {run.seed: spent(run, axis) for run in arm.runs}
    ratio, bound = _ratio(list(theirs.values()), list(ours.values()), target.value)
    pairs = sorted(theirs.keys() & ours.keys())
    paired = len(pairs) == len(theirs) == len(ours)
    n = len(pairs) if paired else min(len(theirs), len(ours))
    if ratio is None or n < 2:
        return Acceleration(ratio, None, None, bound, n)
    generator = stream(seed, "acceleration", axis)
    drawn = []
    for _ in range(draws):
        mine = [pairs[at] for at in generator.integers(0, n, n)] if paired else [
            sorted(ours)[at] for at in generator.integers(0, len(ours), len(ours))
        ]
        other = mine if paired else [
            sorted(theirs)[at] for at in generator.integers(0, len(theirs), len(theirs))
        ]
        value, _ = _ratio([theirs[s] for s in other], [ours[s] for s in mine], target.value)
        if value is not None:
            drawn.append(value)
    if not drawn:
        return Acceleration(ratio, None, None, bound, n)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Acceleration(ratio, float(low), float(high), bound, n)


Curves = Sequence[tuple[FloatArray, FloatArray, FloatArray]]


def _ratio(
    theirs: Curves, ours: Curves, level: float
) -> tuple[float | None, Literal["exact", "at most", "undefined"]]:
    baseline, method = _reach(theirs, level), _reach(ours, level)
    if baseline.value is None:
        return None, "undefined"
    if method.value is None:
        return (baseline.value / method.last, "at most") if method.last else (None, "undefined")
    if method.value == 0.0:  # both were there before the first step
        return (1.0, "exact") if baseline.value == 0.0 else (None, "undefined")
    return baseline.value / method.value, "exact"
