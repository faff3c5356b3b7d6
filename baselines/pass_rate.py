"""Selection by pass rate: a band, a target, the hardest or the easiest prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from baselines.estimates import pass_rates
from cropi.contracts import Requirement, SelectionContext, Selector, Share
from cropi.runtime.parts import part
from cropi.runtime.seeds import derive
from cropi.selectors.ranking import lottery, take_top
from cropi.types import Prompt, Scores, Selection

Rate = Annotated[float, Field(ge=0.0, le=1.0)]


@part
class PassRate(Selector):
    """Ranks by the pass rate p of β's rollouts.

    band: a random choice among low < p < high (the paper's baseline is thought to be 0 < p < 1);
    target: p nearest to ``target``; hardest: lowest p; easiest: highest p. Under ``informative``
    prompts that β always or never solves are not candidates.
    """

    requires: ClassVar[frozenset[Requirement]] = frozenset({"rollouts"})

    alpha: Share = 0.1
    refresh: Literal["once", "phase"] = "once"
    mode: Literal["band", "target", "hardest", "easiest"] = "band"
    low: Rate = 0.0
    high: Rate = 1.0
    target: Rate = 0.5
    informative: bool = True

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")

    def score(self, pool: Sequence[Prompt], context: SelectionContext) -> Scores:
        rates = pass_rates(pool, context.rollouts)
        ids, p = tuple(prompt.id for prompt in pool), rates.mean
        valid = rates.known & ((rates.variance > 0) if self.informative else True)
        if self.mode == "band":
            seed = derive(context.seed, "pass_rate_band", context.phase)
            values = np.array([lottery(seed, i) for i in ids], dtype=np.float64)
            valid &= (p > self.low) & (p < self.high)
        elif self.mode == "target":
            values = -np.abs(p - self.target)
        else:
            values = p if self.mode == "easiest" else -p
        return Scores(ids, values, valid, {"pass_rate": p, "rollouts": rates.count})

    def select(self, scores: Scores, budget: int) -> Selection:
        rate = scores.components["pass_rate"]
        return take_top(
            scores,
            budget,
            lambda i: f"pass rate {rate[i]:.3f} ({self.mode})",
            empty=f"no prompt has a pass rate that selector.mode={self.mode} accepts; "
            f"widen selector.low and selector.high, or set selector.informative=false",
        )
