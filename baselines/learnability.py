"""Learnability p(1−p): the prompts whose outcome is least certain (LILO, SFL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from baselines.estimates import pass_rates
from cropi.contracts import Requirement, SelectionContext, Selector, Share
from cropi.runtime.parts import part
from cropi.selectors.ranking import take_top
from cropi.types import Group, Prompt, Scores, Selection


@part
class Learnability(Selector):
    """Ranks by p(1−p), p being a prompt's pass rate.

    ``form: plain`` is p̂(1−p̂); ``unbiased`` is k(K−k)/(K(K−1)), whose mean over draws is
    p(1−p) (it needs two scorable completions). ``source: offline`` reads β's stored rollouts;
    ``training`` takes a prompt's latest training group instead, where it has one: fresher, and
    already paid for. A prompt whose score is 0 teaches nothing; it is taken only when the budget
    reaches that far down.
    """

    requires: ClassVar[frozenset[Requirement]] = frozenset({"rollouts"})

    alpha: Share = 0.1
    refresh: Literal["once", "phase"] = "phase"
    form: Literal["plain", "unbiased"] = "plain"
    source: Literal["offline", "training"] = "training"

    def __post_init__(self) -> None:
        self._latest: dict[str, list[float]] = {}

    def score(self, pool: Sequence[Prompt], context: SelectionContext) -> Scores:
        rates = pass_rates(pool, context.rollouts, self._latest)
        plain = self.form == "plain"
        return Scores(
            ids=tuple(prompt.id for prompt in pool),
            values=rates.mean * (1 - rates.mean) if plain else rates.variance,
            valid=rates.known if plain else rates.resolved,
            components={
                "pass_rate": rates.mean, "rollouts": rates.count, "from_training": rates.fresh
            },
        )

    def select(self, scores: Scores, budget: int) -> Selection:
        rate, fresh = scores.components["pass_rate"], scores.components["from_training"]
        return take_top(
            scores,
            budget,
            lambda i: (
                f"learnability {scores.values[i]:.3f} at pass rate {rate[i]:.3f} "
                f"({'training' if fresh[i] else 'offline'})"
            ),
            empty="no prompt has scorable rollouts; see the verifier's statuses in the store",
        )

    def observe(self, step: int, groups: Sequence[Group]) -> None:
        if self.source == "training":
            for group in groups:
                right = [t.correctness for t in group.trajectories]
                self._latest[group.prompt_id] = [c for c in right if c is not None]

    def state_dict(self) -> dict[str, Any]:
        return {"latest": self._latest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._latest = {i: list(right) for i, right in state.get("latest", {}).items()}
