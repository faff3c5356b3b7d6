"""What runs had spent by a step, and where the mean curve of some seeds is by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cropi.reports.arms import TARGETED, Arm
from cropi.reports.runs import Run
from cropi.types import BoolArray, FloatArray

Axis = Literal["steps", "seconds", "generated_tokens", "compute_tokens"]
AXES: tuple[Axis, ...] = ("steps", "seconds", "generated_tokens", "compute_tokens")
WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "seconds": {"seconds": 1.0},
    "generated_tokens": {"generated_tokens": 1.0},
    "compute_tokens": {"generated_tokens": 1.0, "forward_tokens": 1.0, "backward_tokens": 2.0},
}
_ROUNDING = 1e-12  # of means: a curve reaches its own last value


def spent(
    run: Run, axis: Axis, metric: str = TARGETED
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(steps, amounts, values) of a metric's evaluations, float64 [E] each.

    Amounts are charged from the start of the run: every rollout, every selection, all training.
    ``compute_tokens`` weighs a token by its passes: 1 generated, 1 forward, 2 backward.
    """
    at = {record.step: n for n, record in enumerate(run.milestones) if metric in record.metrics}
    steps = np.array(sorted(at), dtype=float)
    places = [at[int(step)] for step in steps]
    values = np.array([run.milestones[place].metrics[metric] for place in places], dtype=float)
    return steps, steps if axis == "steps" else _amounts(run, axis)[places], values


def _amounts(run: Run, axis: Axis) -> FloatArray:
    """Spent by each milestone [P]."""
    amounts: FloatArray = sum(
        (weight * run.charged[1][kind] for kind, weight in WEIGHTS[axis].items()),
        start=np.zeros(len(run.milestones)),
    )
    return amounts


@dataclass(frozen=True)
class SeedCurves:
    """The curves of an arm's S seeds at their E shared steps, and all that its runs spent."""

    steps: FloatArray  # [E]
    values: FloatArray  # [S, E], a seed's mean over its variants
    runs: tuple[tuple[Run, ...], ...]  # [S]

    @classmethod
    def of(cls, arm: Arm, metric: str) -> SeedCurves:
        found = [[spent(run, "steps", metric) for run in runs] for runs in arm.seeds.values()]
        every = [set(steps) for seed in found for steps, _, _ in seed]
        shared = sorted(set.intersection(*every)) if every else []
        values = [
            np.mean([values[np.isin(steps, shared)] for steps, _, values in seed], axis=0)
            for seed in found
        ]
        return cls(np.array(shared, float), np.array(values, float), tuple(arm.seeds.values()))

    @property
    def all(self) -> FloatArray:
        """The weights [1, S] of the mean over all seeds."""
        return np.full((1, len(self.values)), 1.0 / max(1, len(self.values)))

    def arrive(self, weights: FloatArray, level: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Of D weighted means over seeds [D, S]: the step at the level [D], or the last; whether
        it was reached."""
        best = np.maximum.accumulate(weights @ self.values, axis=1)
        over = best >= level[:, None] - _ROUNDING
        there, first, each = over[:, -1], np.argmax(over, axis=1), np.arange(len(weights))
        before = np.maximum(first - 1, 0)
        rise = best[each, first] - best[each, before]
        share = np.divide(level - best[each, before], rise, out=np.ones(len(rise)), where=rise > 0)
        between = self.steps[before] + share * (self.steps[first] - self.steps[before])
        # The step itself where the share is whole: rounding must not charge what comes after it.
        steps = np.where(share >= 1.0 - _ROUNDING, self.steps[first], between)
        return np.where(there, steps, self.steps[-1]), there

    def spent(
        self, steps: FloatArray, weights: FloatArray, axes: Sequence[Axis]
    ) -> dict[Axis, FloatArray]:
        """What the weighted means had spent by their steps [D], on each axis."""
        found = {axis: steps if axis == "steps" else np.zeros(len(steps)) for axis in axes}
        for runs, weight in zip(self.runs, weights.T, strict=True):
            for run in runs:
                places, share = _between(run.charged[0], steps)
                for axis in axes:
                    if axis != "steps":
                        before, after = _amounts(run, axis)[places]
                        by_then = before + share * (after - before)
                        found[axis] = found[axis] + weight / len(runs) * by_then
        return found


def _between(at: FloatArray, steps: FloatArray) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """The records before and after each step [2, D], and how far it is between them [D].

    A rollout or selection has a record of its own, at the step it follows: it lies before every
    later step whole, and after that step itself.
    """
    after = np.clip(np.searchsorted(at, steps, side="left"), 0, len(at) - 1)
    before = np.maximum(after - 1, 0)
    gap = at[after] - at[before]
    share = np.divide(steps - at[before], gap, out=np.ones(len(steps)), where=gap > 0)
    return np.array([before, after]), np.minimum(share, 1.0)
