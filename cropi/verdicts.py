"""What the verifier said of many completions, for logging."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import numpy as np

from cropi.types import Group, VerdictStatus


def verdict_rates(groups: Iterable[Group]) -> dict[str, float]:
    """``verdict/<status>``: its share of the graded completions, for every status there is.

    ``verdict/part/<name>``: the mean reward of each part where a reward has several. Empty when
    nothing is graded. A share of 0 is told too, or a chart would keep the last one for ever.
    """
    verdicts = [t.verdict for g in groups for t in g.trajectories if t.verdict is not None]
    if not verdicts:
        return {}
    statuses = [verdict.status for verdict in verdicts]
    rates = {
        f"verdict/{status}": statuses.count(status) / len(statuses)
        for status in get_args(VerdictStatus)
    }
    for name in dict.fromkeys(name for verdict in verdicts for name in verdict.parts):
        rewards = [verdict.parts[name] for verdict in verdicts if name in verdict.parts]
        rates[f"verdict/part/{name}"] = float(np.mean(rewards))
    return rates
