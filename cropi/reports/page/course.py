"""An arm's accuracy over what it spent, as it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cropi.reports.acceleration import WEIGHTS, Axis, spent
from cropi.reports.arms import Arm
from cropi.reports.runs import Run
from cropi.types import FloatArray

_AROUND = 1e-6  # of a step: before and after what is spent at it


@dataclass(frozen=True)
class Course:
    """An arm's curve. Between two evaluations a selection is spent all at once."""

    at: FloatArray  # [E], spent at the evaluations that all seeds have
    mean: FloatArray  # [E], over seeds
    path: FloatArray  # [P], spent at every step that has a record, just before and just after it
    ends: FloatArray  # [3, P], mean over seeds, lowest and highest seed, joined by lines


def course(arm: Arm, axis: Axis) -> Course:
    """Empty where the seeds share no evaluation."""
    runs = [run for seed in arm.seeds.values() for run in seed]
    found = [spent(run, axis) for run in runs]
    shared = sorted(set.intersection(*(set(steps) for steps, _, _ in found))) if found else []
    if not shared:
        return Course(np.empty(0), np.empty(0), np.empty(0), np.empty((3, 0)))
    kept = [np.isin(steps, shared) for steps, _, _ in found]
    at = np.mean([amounts[k] for (_, amounts, _), k in zip(found, kept, strict=True)], axis=0)
    values = np.array([of[k] for (_, _, of), k in zip(found, kept, strict=True)])
    recorded = np.unique(np.concatenate([shared, *(run.charged[0] for run in runs)]))
    inside = recorded[(recorded >= shared[0]) & (recorded <= shared[-1])]
    steps = np.sort(np.concatenate([inside - _AROUND, inside + _AROUND]))[:-1]
    path = np.mean([_spent_by(run, axis, steps) for run in runs], axis=0)
    curves = (values.mean(axis=0), values.min(axis=0), values.max(axis=0))
    return Course(at, curves[0], path, np.array([np.interp(steps, shared, c) for c in curves]))


def _spent_by(run: Run, axis: Axis, steps: FloatArray) -> FloatArray:
    if axis == "steps":
        return steps
    recorded, kinds = run.charged
    amounts = sum(weight * kinds[kind] for kind, weight in WEIGHTS[axis].items())
    return np.interp(steps, recorded, amounts)
