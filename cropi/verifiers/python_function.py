"""A user's own function as verifier, in processes that can be killed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from cropi.contracts import Verifier
from cropi.runtime.parts import part
from cropi.types import Prompt, Verdict
from cropi.verifiers import user_function
from cropi.verifiers.answers import LONGEST_ANSWER
from cropi.verifiers.function_lookup import fault_of
from cropi.verifiers.limited import Limited
from cropi.verifiers.process import Outcome

log = logging.getLogger(__name__)


@part
class PythonFunctionVerifier(Limited, Verifier):
    """Asks ``module:function(prediction, gold, metadata)`` for the reward of a completion.

    ``prediction`` is the whole completion, ``gold`` a text, or a list of texts where a prompt has
    several (or no) golds, ``metadata`` the prompt's own dict. It returns a number from 0 to 1, a
    bool, or None for a prompt that cannot be scored; anything else, and whatever it raises, is
    status ``crashed``. It is imported by the workers alone, and once it is called it can read files
    but neither write them nor use the network or other processes. ``completion`` is an answer
    written as it wants them, to try each gold on itself.
    """

    function: str
    completion: str = r"\boxed{{gold}}"

    def __post_init__(self) -> None:
        if fault := fault_of(self.function):
            raise ValueError(f"function={self.function}: {fault}")
        if "{gold}" not in self.completion:
            raise ValueError(f"completion={self.completion}: must contain {{gold}}")
        self._told: set[str] = set()
        self.start_with(f"{user_function.__name__}:{self.function}")

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        return self.verify_all([(text, prompt)])[0]

    def verify_all(self, items: Sequence[tuple[str, Prompt]]) -> list[Verdict]:
        outcomes = self._processes.run([_job(text, prompt) for text, prompt in items])
        return [
            self._verdict(outcome, text[:LONGEST_ANSWER])
            for outcome, (text, _) in zip(outcomes, items, strict=True)
        ]

    def completion_of(self, gold: str) -> str:
        return self.completion.replace("{gold}", gold)

    def gold_problems(self, prompts: Sequence[Prompt]) -> list[str | None]:
        """The function is asked about each gold, and says None of what it cannot score."""
        items = [(self.completion_of(p.golds[0] if p.golds else ""), p) for p in prompts]
        return [
            f"{self.function} cannot score it" if verdict.reward is None else None
            for verdict in self.verify_all(items)
        ]

    def gold_problem(self, prompt: Prompt) -> str | None:
        return self.gold_problems([prompt])[0]

    def _verdict(self, outcome: Outcome, text: str) -> Verdict:
        milliseconds = 1000 * outcome.seconds
        match outcome.status:
            case "ok" if outcome.value is None:
                return Verdict(None, "bad_gold", "function", text, milliseconds)
            case "ok":
                return Verdict(outcome.value, "ok", "function", text, milliseconds)
            case "memory":
                return Verdict(0.0, "oversize", "function", text, milliseconds)
            case failed:
                if outcome.message and outcome.message not in self._told and len(self._told) < 20:
                    self._told.add(outcome.message)
                    log.warning("%s: %s", self.function, outcome.message)
                return Verdict(0.0, failed, "function", text, milliseconds)


def _job(text: str, prompt: Prompt) -> dict[str, Any]:
    gold = prompt.golds[0] if len(prompt.golds) == 1 else list(prompt.golds)
    return {"prediction": text, "gold": gold, "metadata": dict(prompt.metadata)}
