"""Answers that are one number, compared exactly."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import Field

from cropi.runtime.parts import part
from cropi.verifiers.answers import AnswerVerifier, spelled
from cropi.verifiers.comparison import Comparison
from cropi.verifiers.extraction import Ways, ways
from cropi.verifiers.numbers import Oversize, Percent, read_number


@part
class NumericVerifier(AnswerVerifier):
    r"""Reads both sides as exact rationals: no rounding, and no arithmetic left to do.

    Understands thousands marks (``1,234``, ``1{,}234``, ``1\,234``), currency signs, units in
    words, ``3/4``, ``\frac34``, mixed numbers, percent and powers of ten. ``tolerance`` is relative
    to the gold and is for decimals only: an integer gold is always compared exactly.
    """

    extraction: Ways = Field(default_factory=ways("boxed", "hash", "last_number"))
    tolerance: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    percent: Percent = "unit"

    def compare(self, gold: str, answer: str) -> Comparison:
        right = self._read(gold)
        if right is None:
            return Comparison(False, "none", "bad_gold")
        try:
            given = read_number(spelled(answer), self.percent)
        except Oversize:
            return Comparison(False, "none", "oversize")
        if given is None:
            return Comparison(False, "none", "unparsed")
        slack = 0 if right.denominator == 1 else Fraction(self.tolerance) * abs(right)
        return Comparison(abs(given - right) <= slack, "numeric")

    def gold_fault(self, gold: str) -> str | None:
        fault = super().gold_fault(gold)
        if fault is None and self._read(gold) is None:
            return "not a number"
        return fault

    def _read(self, gold: str) -> Fraction | None:
        try:
            return read_number(spelled(gold), self.percent)
        except Oversize:
            return None
