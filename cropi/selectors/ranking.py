"""From scores to a selection: exact budgets, stable order, readable reasons."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from cropi.runtime.errors import ConfigError, CropiError
from cropi.types import Scores, Selection


def budget_of(alpha: float, pool_size: int) -> int:
    """floor(alpha · pool_size), with alpha taken as the decimal that was written.

    So 0.29 of 100 is 29, although the product of the binary floats is 28.999…. Raises
    ConfigError when nothing would be selected.
    """
    budget = int(Fraction(repr(float(alpha))) * pool_size)
    if budget < 1:
        raise ConfigError([
            f"selector.alpha={alpha}: selects none of {pool_size} prompts; "
            f"the smallest share that selects one is {1 / max(pool_size, 1):.3g}"
        ])
    return budget


def ranked(scores: Scores) -> list[int]:
    """Places of the valid prompts, best first; ties stand in the order of prompt ids."""
    valid = np.flatnonzero(scores.valid)
    return sorted(valid.tolist(), key=lambda i: (-scores.values[i], scores.ids[i]))


def take_top(
    scores: Scores, budget: int, reason: Callable[[int], str], *, empty: str
) -> Selection:
    """The best ``budget`` valid prompts with equal weights.

    ``reason`` words why place i was taken. Fewer valid prompts than the budget are all taken;
    none at all raises CropiError with the text ``empty``.
    """
    best = ranked(scores)[:budget]
    if not best:
        raise CropiError(empty)
    return Selection(
        ids=tuple(scores.ids[i] for i in best),
        weights=(1.0,) * len(best),
        reasons=tuple(reason(i) for i in best),
        budget=budget,
    )


def lottery(seed: int, prompt_id: str) -> float:
    """A uniform number in [0, 1) for a prompt: it does not depend on the pool around it."""
    digest = hashlib.sha256(f"{seed}/{prompt_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64
