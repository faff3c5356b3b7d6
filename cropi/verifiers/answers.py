"""The frame of every verifier that extracts an answer and compares it with the golds."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TypeVar

from cropi.contracts import Verifier
from cropi.types import Prompt, Verdict, VerdictStatus
from cropi.verifiers.comparison import Comparison
from cropi.verifiers.extraction import Way, extract, presented
from cropi.verifiers.normalise import canonical, unwrapped

LONGEST_ANSWER = 8000  # characters; no answer is that long, and parsers are not linear
MOST_REMEMBERED = 100_000
_NO_ANSWER = frozenset(
    ["proof", "see figure", "see solution", "see explanation", "notfound", "n/a", "nan", "null"]
)
_GRAVEST: tuple[VerdictStatus, ...] = ("crashed", "timeout", "oversize", "unparsed", "ok")
# What another time may give another result is not remembered.
_PASSING = ("timeout", "crashed")

spelled = lru_cache(maxsize=16384)(canonical)
R = TypeVar("R")


class AnswerVerifier(Verifier):
    """Extract, compare with each gold, and keep the best: golds are alternatives.

    A verdict's reward is 1 or 0; None (status ``bad_gold``) when no gold of the prompt is usable.
    A comparison is remembered by gold and extracted answer.
    """

    extraction: Sequence[Way]

    @cached_property
    def _remembered(self) -> dict[tuple[str, str], Comparison]:
        return {}

    @cached_property
    def _faults(self) -> dict[str, str | None]:
        return {}

    @abstractmethod
    def compare(self, gold: str, answer: str) -> Comparison:
        """One extracted answer against one usable gold."""

    def compare_all(self, pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
        """The same for several different pairs; override to work in parallel."""
        return [timed(self.compare, gold, answer) for gold, answer in pairs]

    def gold_fault(self, gold: str) -> str | None:
        """Why one gold is unusable, a short stable phrase; at once, without a worker."""
        if len(gold) > LONGEST_ANSWER:
            return f"more than {LONGEST_ANSWER} characters"
        if gold.isascii() and gold.isdigit():
            return None
        if not spelled(gold):
            return "empty"
        return "a placeholder" if unwrapped(spelled(gold)).casefold() in _NO_ANSWER else None

    def gold_faults(self, golds: Sequence[str]) -> list[str | None]:
        """The same of many golds, thoroughly: asked once, at load."""
        return [self.gold_fault(gold) for gold in golds]

    def completion_of(self, gold: str) -> str:
        return presented(gold, self.extraction[0])

    def gold_problems(self, prompts: Sequence[Prompt]) -> list[str | None]:
        """A prompt needs one gold that can be read and that verifies against itself."""
        golds = list(dict.fromkeys(gold for prompt in prompts for gold in prompt.golds))
        faults = dict(zip(golds, self.gold_faults(golds), strict=True))
        sound = [gold for gold in golds if faults[gold] is None]
        own = [Prompt.create("", [gold], source="") for gold in sound]
        given = self.verify_all([
            (self.completion_of(gold), prompt) for gold, prompt in zip(sound, own, strict=True)
        ])
        for gold, verdict in zip(sound, given, strict=True):
            if verdict.reward != 1.0:
                faults[gold] = f"not equal to itself ({verdict.status})"
        return [_problem([faults[gold] for gold in prompt.golds]) for prompt in prompts]

    def gold_problem(self, prompt: Prompt) -> str | None:
        return self.gold_problems([prompt])[0]

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        return self.verify_all([(text, prompt)])[0]

    def verify_all(self, items: Sequence[tuple[str, Prompt]]) -> list[Verdict]:
        """Each different pair of gold and answer is compared once, whoever gave it."""
        answers = [extract(text, self.extraction) for text, _ in items]
        golds = [self._usable(prompt.golds) for _, prompt in items]
        known, found = self._remembered, {}
        pairs = dict.fromkeys(
            (gold, answer)
            for usable, answer in zip(golds, answers, strict=True)
            if answer is not None and len(answer) <= LONGEST_ANSWER
            for gold in usable
        )
        for pair in pairs:
            remembered = known.get(pair)
            if remembered is not None:
                found[pair] = remembered
        new = [pair for pair in pairs if pair not in found]
        compared = dict(zip(new, self.compare_all(new), strict=True)) if new else {}
        self._remember(compared)
        found |= compared
        return [_verdict(g, a, found) for g, a in zip(golds, answers, strict=True)]

    def _usable(self, golds: Sequence[str]) -> list[str]:
        faults = self._faults
        for gold in golds:
            if gold not in faults:
                if len(faults) >= MOST_REMEMBERED:
                    self._faults = faults = {}  # a new one: another thread may read the old
                faults[gold] = self.gold_fault(gold)
        return [gold for gold in golds if faults[gold] is None]

    def _remember(self, compared: dict[tuple[str, str], Comparison]) -> None:
        if len(self._remembered) + len(compared) > MOST_REMEMBERED:
            self._remembered = {}
        self._remembered.update(
            (pair, replace(result, milliseconds=0.0) if result.milliseconds else result)
            for pair, result in compared.items()
            if result.status not in _PASSING
        )


def _problem(faults: Sequence[str | None]) -> str | None:
    if not faults:
        return "missing"
    return None if None in faults else faults[0]


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


def timed(compare: Callable[[str, str], R], gold: str, answer: str) -> R:
    """What ``compare`` gives, a comparison with the time it took."""
    began = time.perf_counter()
    result = compare(gold, answer)
    if isinstance(result, Comparison):
        return replace(result, milliseconds=1000 * (time.perf_counter() - began))
    return result
