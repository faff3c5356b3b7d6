"""LearnAlign (arXiv 2506.11480): gradients that many learnable prompts of the pool share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from cropi.contracts import Requirement, SelectionContext
from cropi.influence.learnalign import learnalign_scores
from cropi.runtime.parts import part
from cropi.selectors.freshness import Reuse, with_training
from cropi.selectors.influence import InfluenceSelector
from cropi.selectors.ranking import take_top
from cropi.types import Prompt, Scores, Selection


@part
class LearnAlign(InfluenceSelector):
    """Scores V_i Σ_j V_j cos(g_i, g_j) with V = p(1−p): no validation set.

    p is the group's pass rate, which undoes the norm's preference for short responses. ``reuse``
    as for ``cropi``.
    """

    requires: ClassVar[frozenset[Requirement]] = frozenset({"rollouts"})

    reuse: Reuse = "none"

    def needs(self) -> frozenset[Requirement]:
        return self.requires if self.reuse == "none" else self.requires | {"training"}

    def score(self, pool: Sequence[Prompt], context: SelectionContext) -> Scores:
        candidates = self.candidates(
            pool, with_training(context.rollouts, context.training, self.reuse)
        )
        rates = np.array([float(group.correctness.mean()) for group in candidates.ready])
        learnability = rates * (1.0 - rates)
        with self.measuring(context, keep_rows=True) as measuring:
            measuring.precondition(self.precondition, self.damping, {"pool": candidates})
            rows = measuring.rows_of(candidates)
            values, valid = candidates.masked(
                learnalign_scores(rows, learnability), rows.column("finite") > 0
            )
        return Scores(
            ids=tuple(prompt.id for prompt in pool),
            values=values,
            valid=valid,
            components={
                "pass_rate": candidates.spread(rates),
                "learnability": candidates.spread(learnability),
            },
            metrics=candidates.metrics(),
        )

    def select(self, scores: Scores, budget: int) -> Selection:
        rates = scores.components["pass_rate"]
        return take_top(
            scores,
            budget,
            lambda i: f"shared direction {scores.values[i]:.4g}, pass rate {rates[i]:.2f}",
            empty="no prompt has a finite gradient; see the log for what was left out and why",
        )
