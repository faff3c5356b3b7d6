"""The arithmetic testbed: running results, one digit each, the last of which is the answer."""

from __future__ import annotations

import re

from cropi.contracts import Verifier
from cropi.runtime.parts import part
from cropi.types import Prompt, Verdict

_DIGITS = re.compile(r"[0-9]+")
_DIGIT = re.compile(r"[0-9]")


@part
class ChainVerifier(Verifier):
    """The whole completion must be digits; its last digit is compared with the gold.

    Anything else is reward 0 with status ``no_answer``.
    """

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        if self.gold_problem(prompt):
            return Verdict(None, "bad_gold", "none")
        if not _DIGITS.fullmatch(text):
            return Verdict(0.0, "no_answer", "none")
        return Verdict(float(text[-1] in prompt.golds), "ok", "exact", text[-1])

    def completion_of(self, gold: str) -> str:
        return gold

    def gold_problem(self, prompt: Prompt) -> str | None:
        if prompt.golds and all(_DIGIT.fullmatch(gold) for gold in prompt.golds):
            return None
        return "not a single digit"
