"""Arms of a comparison: the finished runs that differ by their seed alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cropi.reports.runs import Curve, Run
from cropi.runtime.errors import CropiError, did_you_mean
from cropi.tracking.flatten import flatten
from cropi.types import FloatArray

TARGETED = "eval/targeted"
UNTARGETED = "eval/untargeted"
LEVEL = 0.95  # of the best final accuracy: the best point itself is mostly noise


@dataclass(frozen=True)
class Arm:
    """Runs of one configuration. An unfinished run is an arm of its own, never averaged in."""

    method: str
    details: tuple[str, ...]  # ``key=value`` that tells it from other arms of the method
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        return f"{self.method} ({', '.join(self.details)})" if self.details else self.method

    @property
    def finished(self) -> bool:
        return all(run.finished for run in self.runs)

    @property
    def setting(self) -> str:
        """What must be equal for accuracies to be comparable: the benchmark and how it is read."""
        config = self.runs[0].config
        return json.dumps([config.get("benchmark"), config.get("evaluation")], sort_keys=True)

    def curves(self, metric: str) -> list[Curve]:
        """One curve a run, at the steps that all of them have."""
        curves = [run.curve(metric) for run in self.runs]
        shared = set.intersection(*(set(curve.steps) for curve in curves))
        return [_at(curve, shared) for curve in curves]

    def mean_curve(self, metric: str) -> Curve:
        """The mean over seeds, of values and of seconds, at each shared step."""
        curves = self.curves(metric)
        return Curve(
            curves[0].steps,
            np.mean([curve.seconds for curve in curves], axis=0),
            np.mean([curve.values for curve in curves], axis=0),
        )


def group(runs: Sequence[Run], keys: Sequence[str] = ()) -> list[Arm]:
    """Arms in the order of their first run, described so that no two look alike.

    With ``keys``, runs that agree on those (and on their method) are one arm, whatever else
    differs. Raises CropiError for a key that no run has.
    """
    by_config: dict[str, list[Run]] = {}
    for run in runs:
        same = _by_keys(run, keys, runs) if keys else _without_seed(run)
        by_config.setdefault(same, []).append(run)
    firsts = [members[0] for members in by_config.values()]
    arms: list[Arm] = []
    for first, members in zip(firsts, by_config.values(), strict=True):
        details = _details(first, [run for run in firsts if run.method == first.method])
        ordered = sorted(members, key=lambda run: run.seed)
        finished = tuple(run for run in ordered if run.finished)
        if finished:
            arms.append(Arm(first.method, details, finished))
        arms += [Arm(first.method, details, (run,)) for run in ordered if not run.finished]
    return arms


def steps_to(curve: Curve, level: float) -> float | None:
    """First step at which the curve's running maximum, joined by lines, reaches ``level``."""
    best = np.maximum.accumulate(curve.values)
    reached = np.flatnonzero(best >= level)
    if not reached.size:
        return None
    i = int(reached[0])
    if i == 0:
        return float(curve.steps[0])
    return float(np.interp(level, best[i - 1 : i + 1], curve.steps[i - 1 : i + 1]))


def levels(arms: Sequence[Arm]) -> dict[str, float]:
    """The accuracy to reach in each setting: ``LEVEL`` of the best final mean of finished arms."""
    found: dict[str, float] = {}
    for arm in arms:
        values = arm.mean_curve(TARGETED).values
        if arm.finished and values.size:
            level = LEVEL * float(values[-1])
            found[arm.setting] = max(found.get(arm.setting, level), level)
    return found


def spread(values: Sequence[float]) -> float | None:
    """Sample standard deviation (n - 1); None for fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _at(curve: Curve, steps: set[float]) -> Curve:
    keep = np.isin(curve.steps, list(steps))

    def kept(column: FloatArray) -> FloatArray:
        return column[keep]

    return Curve(kept(curve.steps), kept(curve.seconds), kept(curve.values))


def _by_keys(run: Run, keys: Sequence[str], runs: Sequence[Run]) -> str:
    from cropi.reports.filters import values_of

    found = values_of(run)
    known = {name for each in runs for name in values_of(each)}
    for key in keys:
        if key not in known:
            raise CropiError(f"--group-by {key}: no run has {key}{did_you_mean(key, known)}")
    return json.dumps([run.method, *(found.get(key) for key in keys)], default=str)


def _without_seed(run: Run) -> str:
    return json.dumps({k: v for k, v in run.config.items() if k != "seed"}, sort_keys=True)


def _details(run: Run, rivals: Sequence[Run]) -> tuple[str, ...]:
    """What tells a run from others of its method: differing options, else differing keys."""
    own = _described(run)
    differing = [
        name for name, value in own.items()
        if any(_described(rival).get(name, value) != value for rival in rivals)
    ]
    # A group whose option differs says enough: its single keys are left out.
    groups = [name for name in differing if name in run.choices]
    shown = [n for n in differing if n in groups or n.split(".")[0] not in groups]
    more = ("…",) if len(shown) > 3 else ()
    return (*(f"{name}={own[name]}" for name in shown[:3]), *more)


def _described(run: Run) -> Mapping[str, Any]:
    config = {name: value for name, value in run.config.items() if name != "seed"}
    choices = {name: option for name, option in run.choices.items() if name in config}
    return {**choices, **flatten(config)}
