r"""Mathematical answers: exact arithmetic and certain bounds first, computer algebra for the rest.

docs/verifiers.md tells how an answer is found, read and compared, and has the table of the choices
that mathematics leaves open (``conventions``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated

from pydantic import Field

from cropi.runtime.parts import part
from cropi.types import Prompt, Verdict, VerdictStatus
from cropi.verifiers import conventions as c
from cropi.verifiers.answers import AnswerVerifier, spelled, timed
from cropi.verifiers.comparison import Comparison
from cropi.verifiers.conventions import Conventions
from cropi.verifiers.extraction import Ways, boxes_in_last_line, presented, ways
from cropi.verifiers.limited import Limited
from cropi.verifiers.numbers import Percent
from cropi.verifiers.process import Outcome
from cropi.verifiers.quick import as_text_only, decide, parts_of, readable, worth_asking

_FAILURES: dict[str, VerdictStatus] = {
    "timeout": "timeout", "memory": "oversize", "crashed": "crashed"
}
_WHOLE = re.compile(r"[1-9][0-9]{0,17}|0")
_SAME, _ANOTHER = Comparison(True, "exact"), Comparison(False, "numeric")
_UNUSABLE = {"timeout": "takes too long to compare", "crashed": "crashes math-verify"}


@part
class MathVerifier(Limited, AnswerVerifier):
    """Equality of mathematical answers, the same in both orders where it is symmetric.

    Answers that need computer algebra go to ``workers`` processes, started at the first one; the
    seconds are processor time of one comparison, so a busy machine changes no verdict.
    """

    extraction: Ways = Field(default_factory=ways("boxed"))
    percent: Percent = "unit"
    units: c.Units = "dropped"
    degrees: c.Degrees = "number"
    ratios: c.Ratios = "quotient"
    vectors: c.Vectors = "tuples"
    lists: c.Lists = "flexible"
    equations: c.Equations = "value"
    bases: c.Bases = "if_both"
    case: c.Case = "ignored"
    choices: c.Choices = "with_text"
    approximations: c.Approximations = "exact_part"
    fractions: c.Fractions = "any"
    boxes: c.Boxes = "parts"
    decimal_comma: bool = False
    cpu_seconds: Annotated[float, Field(gt=0.0)] = 0.5

    def __post_init__(self) -> None:
        names = [field.name for field in fields(Conventions)]
        named = {name: getattr(self, name) for name in names}
        self._conventions = Conventions(**named)
        self.start_with("cropi.verifiers.equivalence:equivalent")

    def verify_all(self, items: Sequence[tuple[str, Prompt]]) -> list[Verdict]:
        verdicts = super().verify_all(items)
        if self.boxes == "last" or "boxed" not in self.extraction:
            return verdicts
        again = {
            at: (joined, prompt) for at, (text, prompt) in enumerate(items)
            if verdicts[at].reward == 0.0 and (joined := self._joined(text, prompt)) is not None
        }
        given = super().verify_all(list(again.values())) if again else []
        for at, verdict in zip(again, given, strict=True):
            if verdict.reward == 1.0:
                verdicts[at] = verdict
        return verdicts

    def _joined(self, text: str, prompt: Prompt) -> str | None:
        r"""``x=\boxed{3}, y=\boxed{8}`` as one answer where the gold has two parts."""
        boxes = boxes_in_last_line(text) if text.count("boxed") > 1 else []
        if len(boxes) < 2:
            return None
        several = [parts_of(self._spelled(gold)) for gold in self._usable(prompt.golds)]
        return None if len(boxes) not in several else presented(", ".join(boxes), "boxed")

    def compare(self, gold: str, answer: str) -> Comparison:
        return self.compare_all([(gold, answer)])[0]

    def compare_all(self, pairs: Sequence[tuple[str, str]]) -> list[Comparison]:
        """What is not decided at once is compared once each, spread over the workers."""
        decisions = [_plain(*pair) or timed(self._decide, *pair) for pair in pairs]
        asked = dict.fromkeys(d for d in decisions if isinstance(d, tuple))
        found = dict(zip(asked, self._ask(list(asked)), strict=True))
        return [d if isinstance(d, Comparison) else found[d] for d in decisions]

    def gold_faults(self, golds: Sequence[str]) -> list[str | None]:
        """Also whether each can be read and has a value; asks a worker only where it must."""
        faults = super().gold_faults(golds)
        unsure = []
        for at, gold in enumerate(golds):
            if faults[at] is None:
                found = readable(self._spelled(gold))
                if found is None and as_text_only(self._spelled(gold)):
                    continue
                if found is None and worth_asking(self._spelled(gold)):
                    unsure.append(at)
                elif found is None:
                    faults[at] = "not readable as mathematics"
                elif not found:
                    faults[at] = "undefined"
        texts = [self._spelled(golds[at]) for at in unsure]
        for at, result in zip(unsure, self._ask([(t, t) for t in texts]), strict=True):
            if result.status != "ok":
                faults[at] = _UNUSABLE.get(result.status, "not readable as mathematics")
            elif not result.equal:
                faults[at] = "not equal to itself"
        return faults

    def _spelled(self, text: str) -> str:
        return spelled(text, self.decimal_comma)

    def _decide(self, gold: str, answer: str) -> Comparison | tuple[str, str]:
        return decide(self._spelled(gold), self._spelled(answer), self._conventions)

    def _ask(self, texts: Sequence[tuple[str, str]]) -> list[Comparison]:
        seconds = math.ceil(self.wall_seconds)
        jobs = [{"gold": gold, "answer": answer, "seconds": seconds} for gold, answer in texts]
        return [_comparison(outcome) for outcome in self._processes.run(jobs)]


def _plain(gold: str, answer: str) -> Comparison | None:
    """The common case: two whole numbers without ornament."""
    if _WHOLE.fullmatch(gold) and _WHOLE.fullmatch(answer):
        return _SAME if gold == answer else _ANOTHER
    return None


def _comparison(outcome: Outcome) -> Comparison:
    milliseconds = 1000 * outcome.seconds
    if outcome.status != "ok":
        return Comparison(False, "symbolic", _FAILURES[outcome.status], milliseconds)
    return Comparison(
        outcome.value["equal"], "symbolic", outcome.value["status"], milliseconds
    )
