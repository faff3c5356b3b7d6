"""A random share of the pool: the control for "fewer prompts" without "better prompts"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cropi.contracts import SelectionContext, Selector, Share
from cropi.runtime.parts import part
from cropi.runtime.seeds import derive
from cropi.selectors.ranking import lottery, take_top
from cropi.types import Prompt, Scores, Selection


@part
class Random(Selector):
    """Uniform without replacement: drawn once, or anew each phase (two different baselines)."""

    alpha: Share = 0.1
    refresh: Literal["once", "phase"] = "phase"

    def score(self, pool: Sequence[Prompt], context: SelectionContext) -> Scores:
        phase = 0 if self.refresh == "once" else context.phase
        seed = derive(context.seed, "random_selection", phase)
        ids = tuple(prompt.id for prompt in pool)
        values = np.array([lottery(seed, i) for i in ids], dtype=np.float64)
        return Scores(ids, values, np.ones(len(ids), dtype=bool))

    def select(self, scores: Scores, budget: int) -> Selection:
        return take_top(scores, budget, lambda i: "drawn at random", empty="the pool is empty")
