"""Arms of a comparison: the finished runs that differ by their seed alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cropi.reports.labels import details
from cropi.reports.runs import Curve, Run
from cropi.runtime.errors import CropiError, did_you_mean
from cropi.types import FloatArray

TARGETED = "eval/targeted"
UNTARGETED = "eval/untargeted"
_SHARES = re.compile(r"eval/(targeted|untargeted|all)|.*/(avg@\d+|pass@\d+|\w+_rate)")
LEVEL = 0.95  # of the best final accuracy: the best point itself is mostly noise


@dataclass(frozen=True)
class Arm:
    """Runs of one configuration. An unfinished run is an arm of its own, never averaged in.

    Of runs grouped by keys, ``variants`` are the configurations that a seed must have finished to
    count: a mean over some seeds' benchmarks and other seeds' others would be a mean of nothing.
    """

    method: str
    details: tuple[str, ...]  # ``key=value`` that tells it from other arms of the method
    runs: tuple[Run, ...]
    variants: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        return f"{self.method} ({', '.join(self.details)})" if self.details else self.method

    @cached_property
    def finished(self) -> bool:
        return all(run.finished for run in self.runs)

    @cached_property
    def setting(self) -> str:
        """What must be equal for accuracies to be comparable: the benchmark and how it is read."""
        return "; ".join(sorted({run.setting for run in self.runs}))

    @cached_property
    def seeds(self) -> Mapping[int, tuple[Run, ...]]:
        """The runs of every seed that has all variants: what means are over, a seed being one."""
        wanted = self.variants or {run.variant for run in self.runs}
        by_seed: dict[int, list[Run]] = {}
        for run in self.runs:
            by_seed.setdefault(run.seed, []).append(run)
        return {
            seed: tuple(runs) for seed, runs in by_seed.items()
            if {run.variant for run in runs} >= wanted
        }

    @property
    def incomplete(self) -> tuple[int, ...]:
        """Seeds that lack a variant and so count nowhere."""
        return tuple(dict.fromkeys(r.seed for r in self.runs if r.seed not in self.seeds))

    def curves(self, metric: str) -> list[Curve]:
        """One curve a run that counts, at the steps that all of them have."""
        curves = [run.curve(metric) for runs in self.seeds.values() for run in runs]
        if not curves:
            return []
        shared = set.intersection(*(set(curve.steps) for curve in curves))
        return [_at(curve, shared) for curve in curves]

    def mean_curve(self, metric: str) -> Curve:
        """The mean over seeds, of values and of seconds, at each shared step."""
        curves = self.curves(metric)
        if not curves:
            return Curve(np.empty(0), np.empty(0), np.empty(0))
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
    known = {name for run in runs for name in run.keys} if keys else set()
    for key in keys:
        if key not in known:
            raise CropiError(f"--group-by {key}: no run has {key}{did_you_mean(key, known)}")
    members: dict[str, list[Run]] = {}
    for run in runs:
        values = [run.method, *(run.keys.get(key) for key in keys)]
        alike = json.dumps(values, default=str) if keys else run.variant
        members.setdefault(alike, []).append(run)
    firsts = [same[0] for same in members.values()]
    described = (
        [tuple(f"{key}={first.keys.get(key)}" for key in keys) for first in firsts] if keys
        else details(firsts)
    )  # fmt: skip
    arms: list[Arm] = []
    for first, own, same in zip(firsts, described, members.values(), strict=True):
        ordered = sorted(same, key=lambda run: run.seed)
        finished = tuple(run for run in ordered if run.finished)
        if finished:
            variants = frozenset(run.variant for run in same)
            arms.append(Arm(first.method, own, finished, variants))
        arms += [Arm(first.method, own, (run,)) for run in ordered if not run.finished]
    return arms


def is_share(metric: str) -> bool:
    """Whether the metric lies in [0, 1] and is read in percent."""
    return _SHARES.fullmatch(metric) is not None


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
