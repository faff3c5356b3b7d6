"""Golds that are lists of alternatives, any of which is right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from cropi.contracts import Verifier
from cropi.runtime.parts import part
from cropi.types import Prompt, Verdict


@part
class AnyOfVerifier(Verifier):
    """Reads golds such as ``["1/2", "0.5"]`` (Skywork-OR1) and asks ``verifier`` about the items.

    A gold that is no JSON list stands for itself, as do the several golds of a prompt. What in a
    list is neither text nor number is no alternative; unusable ones count only when all are.
    """

    verifier: Verifier

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        return self.verify_all([(text, prompt)])[0]

    def verify_all(self, items: Sequence[tuple[str, Prompt]]) -> list[Verdict]:
        return self.verifier.verify_all([(text, _spread(prompt)) for text, prompt in items])

    def completion_of(self, gold: str) -> str:
        """With the first alternative that is usable."""
        each = [Prompt("", "", (alternative,), "") for alternative in alternatives((gold,))]
        faults = self.verifier.gold_problems(each)
        usable = [p.golds[0] for p, fault in zip(each, faults, strict=True) if fault is None]
        return self.verifier.completion_of(usable[0] if usable else gold)

    def gold_problems(self, prompts: Sequence[Prompt]) -> list[str | None]:
        return self.verifier.gold_problems([_spread(prompt) for prompt in prompts])

    def gold_problem(self, prompt: Prompt) -> str | None:
        return self.verifier.gold_problem(_spread(prompt))

    def close(self) -> None:
        self.verifier.close()


def _spread(prompt: Prompt) -> Prompt:
    return replace(prompt, golds=alternatives(prompt.golds))


@lru_cache(maxsize=16384)
def alternatives(golds: tuple[str, ...]) -> tuple[str, ...]:
    """All items of all golds, each once; numbers as they are written."""
    return tuple(dict.fromkeys(item for gold in golds for item in _items(gold)))


def _items(gold: str) -> list[str]:
    if not gold.lstrip().startswith("["):
        return [gold]
    try:
        found = json.loads(gold, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return [gold]  # a plain answer such as the interval [0,1)
    return [item for item in found if isinstance(item, str)]
