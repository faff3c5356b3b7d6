"""CPU seconds of two pieces of work, taken in turns so that a busy machine slows both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from cropi.influence.estimator import Estimator
from cropi.influence.layout import repeated
from cropi.influence.passes import edge_coefficients, edge_log_probs
from cropi.influence.prepared import Prepared
from cropi.policies.policy import Policy


def side_by_side(
    ours: Callable[[], object], theirs: Callable[[], object], repeats: int = 3
) -> tuple[float, float]:
    """Medians of process CPU seconds after one warm-up of each."""
    theirs()
    ours()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for place, work in ((1, theirs), (0, ours)):
            began = time.process_time()
            work()
            seconds[place].append(time.process_time() - began)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def bare_pass(policy: Policy, groups: Sequence[Prepared], estimator: Estimator) -> None:
    """What training would spend on these groups: forward, and backward to every weight."""
    for group in groups:
        layout = repeated([group], policy.pad_id)
        log_probs = edge_log_probs(policy.model, layout)
        coefficients, _ = edge_coefficients(layout, log_probs.detach(), estimator)
        log_probs.backward(coefficients)
        policy.model.zero_grad(set_to_none=True)
