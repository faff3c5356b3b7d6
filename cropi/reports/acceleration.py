"""How much sooner a method gets somewhere, with all that it spent counted from the start.

One definition (docs/results.md). The curve of a method is the mean over its seeds, at the steps
all of them evaluated, made monotone by its running maximum and joined by lines: the step where it
first reaches the target. Spent by then is what the seeds' records say: every rollout and selection
before that step whole, training by its share. The acceleration is what the baseline spent over
what the method spent. A method that never gets there needed more than it spent: its acceleration
is at most that ratio, and it is never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cropi.reports.arms import TARGETED, Arm
from cropi.reports.spending import AXES, WEIGHTS, Axis, SeedCurves, spent
from cropi.reports.statistics import few_seeds_tail, t_quantile
from cropi.runtime.errors import CropiError
from cropi.runtime.seeds import stream
from cropi.types import FloatArray

__all__ = [
    "AXES", "WEIGHTS", "Acceleration", "Axis", "Reached", "Target", "acceleration",
    "accelerations", "reach", "reached", "spent", "target_of",
]

PLATEAU_EVALUATIONS = 3
LEVEL = 0.95
DRAWS = 2000


@dataclass(frozen=True)
class Target:
    """A value to reach, of which metric, and where it comes from."""

    value: float
    rule: str
    metric: str = TARGETED
    kind: Literal["plateau", "final", "given"] = "given"


@dataclass(frozen=True)
class Reached:
    """What was spent when a curve reached a target; None when it never did, by ``last``."""

    value: float | None
    last: float


@dataclass(frozen=True)
class Acceleration:
    """Baseline over method. ``at most``: the method never reached the target.

    ``undefined``: the baseline did not. ``low`` and ``high`` are a 95 % interval over seeds, None
    with one seed; 0 or infinity where too many draws never reach the target to bound them.
    """

    ratio: float | None
    low: float | None
    high: float | None
    bound: Literal["exact", "at most", "undefined"]
    n: int


def target_of(baseline: Arm, rule: str | float = "plateau", metric: str = TARGETED) -> Target:
    """``plateau``, ``final`` (the strict "matches the final value"), or an accuracy in [0, 1].

    Raises CropiError when the baseline was never evaluated, or for another rule.
    """
    values = baseline.mean_curve(metric).values
    if not values.size:
        raise CropiError(f"{baseline.label} has no evaluation to take a target from")
    if rule == "plateau":
        text = f"{100 * LEVEL:.0f} % of the plateau of {baseline.label}"
        return Target(float(_plateau(values)), text, metric, "plateau")
    if rule == "final":
        return Target(float(values[-1]), f"the final value of {baseline.label}", metric, "final")
    try:
        value = float(rule)
    except ValueError as error:
        raise CropiError(f"--target {rule}: plateau, final, or a number in [0, 1]") from error
    if not 0.0 <= value <= 1.0:
        raise CropiError(f"--target {rule}: an accuracy lies in [0, 1]")
    return Target(value, "as given", metric)


def _plateau(values: FloatArray) -> FloatArray:
    plateau: FloatArray = LEVEL * np.mean(values[..., -PLATEAU_EVALUATIONS:], axis=-1)
    return plateau


def reach(arm: Arm, target: Target, axis: Axis) -> Reached:
    """What the mean over the arm's seeds had spent when it reached the target."""
    return reached(arm, target, (axis,))[axis]


def reached(arm: Arm, target: Target, axes: Sequence[Axis] = AXES) -> dict[Axis, Reached]:
    """``reach`` on several axes."""
    seeds = SeedCurves.of(arm, target.metric)
    if not seeds.steps.size:
        return {axis: Reached(None, 0.0) for axis in axes}
    steps, there = seeds.arrive(seeds.all, np.array([target.value]))
    amounts = seeds.spent(steps, seeds.all, axes)
    last = seeds.spent(seeds.steps[-1:], seeds.all, axes)
    return {
        axis: Reached(float(amounts[axis][0]) if there[0] else None, float(last[axis][0]))
        for axis in axes
    }


def acceleration(
    baseline: Arm, arm: Arm, target: Target, axis: Axis, *, seed: int = 0, draws: int = DRAWS
) -> Acceleration:
    """How much sooner ``arm`` reaches the target than ``baseline``.

    The bootstrap draws seeds anew, in pairs if both have the same ones, else each by itself, and
    takes the target anew from the baseline's draw. The interval is the wider of a t-interval of
    the logarithm, its error from the draws, and the percentiles, made wide for few seeds
    (Hesterberg, arXiv 1411.5279); bench/coverage.py prints how often it holds the truth.
    """
    return accelerations(baseline, arm, target, (axis,), seed=seed, draws=draws)[axis]


def accelerations(
    baseline: Arm, arm: Arm, target: Target, axes: Sequence[Axis] = AXES, *,
    seed: int = 0, draws: int = DRAWS,
) -> dict[Axis, Acceleration]:  # fmt: skip
    """``acceleration`` on several axes, from the same draws."""
    theirs, ours = SeedCurves.of(baseline, target.metric), SeedCurves.of(arm, target.metric)
    n = min(len(theirs.values), len(ours.values))
    if not theirs.steps.size or not ours.steps.size:
        return {axis: Acceleration(None, None, None, "undefined", n) for axis in axes}
    stated = _bounds(theirs, ours, theirs.all, ours.all, np.array([target.value]), axes)
    found = {axis: _stated(float(low[0]), float(high[0])) for axis, (low, high) in stated.items()}
    if n < 2:
        return {axis: Acceleration(r, None, None, bound, n) for axis, (r, bound) in found.items()}
    generator = stream(seed, "acceleration")
    their_draws = _drawn(generator, len(theirs.values), draws)
    if set(baseline.seeds) == set(arm.seeds):
        our_draws = their_draws[:, [list(baseline.seeds).index(each) for each in arm.seeds]]
    else:
        our_draws = _drawn(generator, len(ours.values), draws)
    level = np.full(draws, target.value)
    if target.kind != "given":
        values = their_draws @ theirs.values
        level = _plateau(values) if target.kind == "plateau" else values[:, -1]
    drawn = _bounds(theirs, ours, their_draws, our_draws, level, axes)
    result: dict[Axis, Acceleration] = {}
    for axis, (ratio, bound) in found.items():
        low, high = _interval(ratio, *drawn[axis], n) if ratio is not None else (None, None)
        result[axis] = Acceleration(ratio, 0.0 if bound == "at most" else low, high, bound, n)
    return result


def _drawn(generator: np.random.Generator, n: int, draws: int) -> FloatArray:
    """Weights of ``n`` seeds in each draw [draws, n]."""
    weights: FloatArray = generator.multinomial(n, np.full(n, 1.0 / n), size=draws) / n
    return weights


def _bounds(
    theirs: SeedCurves, ours: SeedCurves, their_weights: FloatArray, our_weights: FloatArray,
    level: FloatArray, axes: Sequence[Axis],
) -> dict[Axis, tuple[FloatArray, FloatArray]]:  # fmt: skip
    """What is known of each draw's ratio: at least, at most [D]; equal where both got there."""
    their_steps, they_did = theirs.arrive(their_weights, level)
    our_steps, we_did = ours.arrive(our_weights, level)
    they_spent = theirs.spent(their_steps, their_weights, axes)
    we_spent = ours.spent(our_steps, our_weights, axes)
    found: dict[Axis, tuple[FloatArray, FloatArray]] = {}
    for axis in axes:
        baseline, method = they_spent[axis], we_spent[axis]
        ratio = np.divide(baseline, method, out=np.full(len(level), np.inf), where=method > 0)
        ratio[(baseline == 0.0) & (method == 0.0)] = 1.0  # both were there before the first step
        found[axis] = np.where(we_did, ratio, 0.0), np.where(they_did, ratio, np.inf)
    return found


def _stated(
    low: float, high: float
) -> tuple[float | None, Literal["exact", "at most", "undefined"]]:
    if not np.isfinite(high):
        return None, "undefined"
    return high, "exact" if low == high else "at most"


def _interval(
    ratio: float, lows: FloatArray, highs: FloatArray, n: int
) -> tuple[float, float]:
    tail = 100 * few_seeds_tail(n)
    low = float(np.percentile(lows, tail, method="lower"))
    high = float(np.percentile(highs, 100 - tail, method="higher"))
    known = (lows == highs) & (lows > 0)
    if ratio <= 0 or known.sum() < 2:
        return low, high
    deviation = float(np.std(np.log(lows[known]))) * np.sqrt(n / (n - 1))
    half = float(np.exp(t_quantile(n - 1) * deviation))
    return min(low, ratio / half), max(high, ratio * half)
