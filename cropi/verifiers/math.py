r"""Mathematical answers: exact arithmetic first, computer algebra in killable workers for the rest.

Policies, each tested: only the last box counts; no box, no reward (unless ``extraction`` says
otherwise); no tolerance, so 0.333 is not 1/3; a comma is no decimal mark; units are dropped;
letters under roots are positive; a set is no tuple, but a bare list may stand for either; the bases
in ``1011_2`` count only when both sides name one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from cropi.contracts import PositiveInt
from cropi.runtime.parts import part
from cropi.types import Prompt, VerdictStatus
from cropi.verifiers.answers import AnswerVerifier, spelled
from cropi.verifiers.comparison import Comparison
from cropi.verifiers.extraction import Ways, ways
from cropi.verifiers.isolation import Workers
from cropi.verifiers.numbers import Percent
from cropi.verifiers.process import Outcome
from cropi.verifiers.quick import decide, needs_algebra

MOST_REMEMBERED = 100_000
_FAILURES: dict[str, VerdictStatus] = {
    "timeout": "timeout", "memory": "oversize", "crashed": "crashed"
}


@part
class MathVerifier(AnswerVerifier):
    """Equality of mathematical answers, the same in both orders where it is symmetric.

    Answers that need computer algebra go to ``workers`` processes, started at the first one; the
    seconds are processor time of one comparison, so a busy machine changes no verdict.
    """

    extraction: Ways = Field(default_factory=ways("boxed"))
    percent: Percent = "unit"
    workers: PositiveInt = 2
    cpu_seconds: Annotated[float, Field(gt=0.0)] = 5.0
    wall_seconds: Annotated[float, Field(gt=0.0)] = 120.0
    megabytes: Annotated[int, Field(ge=512)] = 2048

    def __post_init__(self) -> None:
        if self.wall_seconds < self.cpu_seconds:
            raise ValueError("wall_seconds must not be less than cpu_seconds")
        self._remembered: dict[tuple[str, str], Comparison] = {}
        self._processes = Workers(
            "cropi.verifiers.equivalence:equivalent", slots=self.workers,
            cpu_seconds=self.cpu_seconds, wall_seconds=self.wall_seconds,
            megabytes=self.megabytes,
        )

    def compare(self, gold: str, answer: str) -> Comparison:
        return self.compare_all([(gold, answer)])[0]

    def compare_all(self, pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
        """Exact decisions at once; what is left is compared once each, spread over the workers."""
        known = self._remembered
        decisions = [_timed(spelled(g), spelled(a), self.percent) for g, a in pairs]
        asked = dict.fromkeys(d for d in decisions if isinstance(d, tuple) and d not in known)
        found = dict(zip(asked, self._ask(list(asked)), strict=True))
        self._remember(found)
        return [
            d if isinstance(d, Comparison) else found[d] if d in found else known[d]
            for d in decisions
        ]

    def gold_problem(self, prompt: Prompt) -> str | None:
        """Also asks a worker, where needed, whether the gold can be read and equals itself."""
        problem = super().gold_problem(prompt)
        if problem:
            return problem
        faults = [self.gold_fault(gold) or self._algebra_fault(gold) for gold in prompt.golds]
        return None if None in faults else faults[0]

    def _algebra_fault(self, gold: str) -> str | None:
        texts = needs_algebra(spelled(gold), self.percent)
        if texts is None:
            return None
        result = self._remembered.get(texts) or self._ask([texts])[0]
        self._remember({texts: result})
        if result.status != "ok":
            reason = {"timeout": "takes too long to compare", "crashed": "crashes math-verify"}
            return reason.get(result.status, "not readable as mathematics")
        return None if result.equal else "not equal to itself"

    def close(self) -> None:
        self._processes.close()

    def _ask(self, texts: Sequence[tuple[str, str]]) -> list[Comparison]:
        seconds = math.ceil(self.wall_seconds)
        jobs = [{"gold": gold, "answer": answer, "seconds": seconds} for gold, answer in texts]
        return [_comparison(outcome) for outcome in self._processes.run(jobs)]

    def _remember(self, found: dict[tuple[str, str], Comparison]) -> None:
        if len(self._remembered) + len(found) > MOST_REMEMBERED:
            self._remembered = {}  # a new one: another thread may be reading the old
        self._remembered.update(
            (texts, replace(result, milliseconds=0.0)) for texts, result in found.items()
            if result.status not in ("timeout", "crashed")
        )


def _timed(gold: str, answer: str, percent: Percent) -> Comparison | tuple[str, str]:
    began = time.perf_counter()
    decision = decide(gold, answer, percent)
    if isinstance(decision, Comparison):
        return replace(decision, milliseconds=1000 * (time.perf_counter() - began))
    return decision


def _comparison(outcome: Outcome) -> Comparison:
    milliseconds = 1000 * outcome.seconds
    if outcome.status != "ok":
        return Comparison(False, "symbolic", _FAILURES[outcome.status], milliseconds)
    return Comparison(
        outcome.value["equal"], "symbolic", outcome.value["status"], milliseconds
    )
