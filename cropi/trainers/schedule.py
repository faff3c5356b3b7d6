"""The learning rate as a function of the step, so that there is no scheduler state to lose."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["constant", "linear", "cosine"]


def learning_rate_at(
    step: int, *, peak: float, warmup_steps: int, total_steps: int, schedule: Schedule
) -> float:
    """The rate of ``step``, counted from 1 over all phases.

    It rises linearly to ``peak`` at step ``warmup_steps``, starts falling after the next one and
    is still above 0 at ``total_steps``, so that no step is wasted at either end.
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    falling = max(total_steps - warmup_steps, 1)
    progress = min(max(step - 1 - warmup_steps, 0) / falling, 1.0)
    match schedule:
        case "constant":
            return peak
        case "linear":
            return peak * (1.0 - progress)
        case "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * progress))
