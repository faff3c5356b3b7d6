"""One reward from several verifiers, with the question of right or wrong kept apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from cropi.contracts import Verifier
from cropi.runtime.errors import did_you_mean
from cropi.runtime.parts import part
from cropi.types import Prompt, Verdict

CORRECTNESS = "correctness"
Weight = Annotated[float, Field(allow_inf_nan=False)]


@part
class CompositeVerifier(Verifier):
    """The weighted sum of the rewards of ``parts``, for training.

    The part called ``correctness`` alone says what is right: status, method and extracted text are
    its own, and pass rates, selectors and evaluations read its reward (``Verdict.correctness``). A
    trajectory that any part cannot score has no reward: what is left would be another scale.
    """

    parts: Annotated[dict[str, Verifier], Field(min_length=1)]
    weights: dict[str, Weight]

    def __post_init__(self) -> None:
        if CORRECTNESS not in self.parts:
            raise ValueError(
                f"one of the parts must be called {CORRECTNESS}: it says what is right; "
                f"the parts are {', '.join(self.parts)}"
            )
        for name in self.parts.keys() - self.weights.keys():
            raise ValueError(f"weights.{name} is missing: every part has a weight")
        for name in self.weights.keys() - self.parts.keys():
            raise ValueError(
                f"weights.{name}: there is no part of that name{did_you_mean(name, self.parts)}"
            )
        if self.weights[CORRECTNESS] <= 0:
            raise ValueError(f"weights.{CORRECTNESS} must be above 0")

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        return self.verify_all([(text, prompt)])[0]

    def verify_all(self, items: Sequence[tuple[str, Prompt]]) -> list[Verdict]:
        columns = {name: verifier.verify_all(items) for name, verifier in self.parts.items()}
        return [
            self._sum(dict(zip(columns, row, strict=True)))
            for row in zip(*columns.values(), strict=True)
        ]

    def _sum(self, verdicts: Mapping[str, Verdict]) -> Verdict:
        spent = sum(verdict.milliseconds for verdict in verdicts.values())
        ordered = [verdicts[CORRECTNESS], *verdicts.values()]
        for verdict in ordered:
            if verdict.reward is None:
                return replace(verdict, milliseconds=spent, parts={})
        rewards = {n: v.reward for n, v in verdicts.items() if v.reward is not None}
        total = sum(self.weights[name] * reward for name, reward in rewards.items())
        return replace(ordered[0], reward=total, milliseconds=spent, parts=rewards)

    def completion_of(self, gold: str) -> str:
        return self.parts[CORRECTNESS].completion_of(gold)

    def gold_problems(self, prompts: Sequence[Prompt]) -> list[str | None]:
        """The first problem that a part has with each prompt."""
        columns = [verifier.gold_problems(prompts) for verifier in self.parts.values()]
        return [next(filter(None, row), None) for row in zip(*columns, strict=True)]

    def gold_problem(self, prompt: Prompt) -> str | None:
        return self.gold_problems([prompt])[0]

    def close(self) -> None:
        for verifier in self.parts.values():
            verifier.close()
