"""Full data: every prompt of the pool. What every selector must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cropi.contracts import SelectionContext, Selector
from cropi.runtime.parts import part
from cropi.selectors.ranking import take_top
from cropi.types import Prompt, Scores, Selection


@part
class Full(Selector):
    """Selects the whole pool. ``alpha`` can only be 1, and refreshing changes nothing."""

    alpha: Literal[1] = 1
    refresh: Literal["once", "phase"] = "once"

    def score(self, pool: Sequence[Prompt], context: SelectionContext) -> Scores:
        ids = tuple(prompt.id for prompt in pool)
        return Scores(ids, np.zeros(len(ids)), np.ones(len(ids), dtype=bool))

    def select(self, scores: Scores, budget: int) -> Selection:
        return take_top(scores, budget, lambda i: "whole pool", empty="the pool is empty")
