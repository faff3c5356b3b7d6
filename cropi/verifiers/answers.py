"""The frame of every verifier that extracts an answer and compares it with the golds."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from cropi.contracts import Verifier
from cropi.types import Prompt, Verdict, VerdictStatus
from cropi.verifiers.comparison import Comparison
from cropi.verifiers.extraction import Way, extract
from cropi.verifiers.normalise import canonical, unwrapped

LONGEST_ANSWER = 8000  # characters; no answer is that long, and parsers are not linear
_NO_ANSWER = frozenset(
    ["proof", "see figure", "see solution", "see explanation", "notfound", "n/a", "nan", "null"]
)
_GRAVEST: tuple[VerdictStatus, ...] = ("crashed", "timeout", "oversize", "unparsed", "ok")

spelled = lru_cache(maxsize=16384)(canonical)


class AnswerVerifier(Verifier):
    """Extract, compare with each gold, and keep the best: golds are alternatives.

    A verdict's reward is 1 or 0; None (status ``bad_gold``) when no gold of the prompt is usable.
    """

    extraction: Sequence[Way]

    @abstractmethod
    def compare(self, gold: str, answer: str) -> Comparison:
        """One extracted answer against one usable gold."""

    def compare_all(self, pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
        """The same for several different pairs; override to work in parallel."""
        return [_timed(self.compare, gold, answer) for gold, answer in pairs]

    def gold_fault(self, gold: str) -> str | None:
        """Why one gold is unusable, a short stable phrase; cheap: asked at each comparison."""
        if len(gold) > LONGEST_ANSWER:
            return f"more than {LONGEST_ANSWER} characters"
        if not spelled(gold):
            return "empty"
        return "a placeholder" if unwrapped(spelled(gold)).casefold() in _NO_ANSWER else None

    def gold_problem(self, prompt: Prompt) -> str | None:
        faults = [self.gold_fault(gold) for gold in prompt.golds]
        if not faults:
            return "missing"
        return None if None in faults else faults[0]

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        return self.verify_all([(text, prompt)])[0]

    def verify_all(self, items: Sequence[tuple[str, Prompt]]) -> list[Verdict]:
        """Each different pair of gold and answer is compared once, whoever gave it."""
        golds = [[g for g in p.golds if self.gold_fault(g) is None] for _, p in items]
        answers = [extract(text, self.extraction) for text, _ in items]
        pairs = dict.fromkeys(
            (gold, answer)
            for usable, answer in zip(golds, answers, strict=True)
            if answer is not None and len(answer) <= LONGEST_ANSWER
            for gold in usable
        )
        found = dict(zip(pairs, self.compare_all(list(pairs)), strict=True))
        return [_verdict(g, a, found) for g, a in zip(golds, answers, strict=True)]


def _verdict(
    golds: Sequence[str], answer: str | None, found: dict[tuple[str, str], Comparison]
) -> Verdict:
    if not golds:
        return Verdict(None, "bad_gold", "none")
    if answer is None:
        return Verdict(0.0, "no_answer", "none")
    if len(answer) > LONGEST_ANSWER:
        return Verdict(0.0, "oversize", "none", answer[:LONGEST_ANSWER])
    results = [found[gold, answer] for gold in golds]
    spent = sum(result.milliseconds for result in results)
    for result in results:
        if result.equal:
            return Verdict(1.0, "ok", result.method, answer, spent)
    usable = [result for result in results if result.status != "bad_gold"]
    if not usable:
        return Verdict(None, "bad_gold", "none", answer, spent)
    worst = min(usable, key=lambda result: _GRAVEST.index(result.status))
    return Verdict(0.0, worst.status, worst.method, answer, spent)


def _timed(
    compare: Callable[[str, str], Comparison], gold: str, answer: str
) -> Comparison:
    began = time.perf_counter()
    result = compare(gold, answer)
    return replace(result, milliseconds=1000 * (time.perf_counter() - began))
