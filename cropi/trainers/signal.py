"""Why a group teaches nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cropi.trainers.batch import has_signal, rewards_that_count
from cropi.types import Group


def without_signal(groups: Sequence[Group], *, mask_truncated: bool) -> dict[str, int]:
    """Groups by what is wrong with them, most frequent first; those with signal are left out."""
    reasons = Counter(
        _reason(group, mask_truncated)
        for group in groups
        if not has_signal(group, mask_truncated=mask_truncated)
    )
    return dict(reasons.most_common())


def _reason(group: Group, mask_truncated: bool) -> str:
    rewards = rewards_that_count(group, mask_truncated=mask_truncated)
    scored = rewards[~np.isnan(rewards)]
    if scored.size < 2:
        return "cut off or not scorable"
    right = group.correctness[~np.isnan(rewards)]
    if (right == 1.0).all():
        return "all right"
    return "all wrong" if (right == 0.0).all() else "equal rewards"
