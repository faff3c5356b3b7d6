"""Scores over phases: a running average of standardised values, and what is still mixed.

Averaging steadies a noisy score but also keeps prompts alive that the policy has since solved, so
it goes with the chance that a new group still has differing rewards. NaN is undefined.
"""

from __future__ import annotations

import numpy as np

from cropi.types import BoolArray, FloatArray


def standardised(values: FloatArray, valid: BoolArray) -> FloatArray:
    """[N, M]: mean 0 and standard deviation 1 over the valid rows, a column at a time.

    NaN elsewhere; a column whose valid values are all equal gives 0.
    """
    result = np.full(values.shape, np.nan)
    chosen = values[valid]
    if len(chosen) == 0:
        return result
    centred = chosen - chosen.mean(axis=0)
    deviation = chosen.std(axis=0)
    differs = (chosen.max(axis=0) > chosen.min(axis=0)) & (deviation > 0.0)
    result[valid] = np.where(differs, centred / np.where(differs, deviation, 1.0), 0.0)
    return result


def running_average(before: FloatArray | None, now: FloatArray, weight: float) -> FloatArray:
    """[N, M]: weight · before + (1 − weight) · now, of standardised values.

    Where there is no past (NaN, or ``before`` is None) it is ``now``. Where now is undefined but
    the past is not, now counts as the pool's mean, 0: the past fades and is not forgotten at once.
    """
    if before is None:
        return now.copy()
    mixed = weight * before + (1.0 - weight) * np.where(np.isnan(now), 0.0, now)
    return np.where(np.isnan(before), now, mixed)


def mixed_probability(
    pass_rates: FloatArray, valid: BoolArray, group: int, shrink: float
) -> FloatArray:
    """[N]: the chance 1 − p^G − (1−p)^G that ``group`` new trajectories differ in reward.

    p is the pass rate [N] moved by the share ``shrink`` towards the valid rows' mean, since a few
    trajectories say 0 or 1 too readily; an unknown one (NaN) is that mean. NaN when none is known.
    """
    known = valid & ~np.isnan(pass_rates)
    if not known.any():
        return np.full(pass_rates.shape, np.nan)
    centre = float(pass_rates[known].mean())
    own = np.where(np.isnan(pass_rates), centre, pass_rates)
    p = np.clip((1.0 - shrink) * own + shrink * centre, 0.0, 1.0)
    return np.asarray(1.0 - p**group - (1.0 - p) ** group)


def weighed(values: FloatArray, chance: FloatArray) -> FloatArray:
    """[N, M]: positive values times chance [N]; others as they are, or doubt would raise them."""
    return np.where(values > 0.0, values * chance[:, np.newaxis], values)
