r"""Exact arithmetic on rational numbers written in LaTeX.

Decides most answers without a computer algebra system and without rounding: ``\frac{1}{2^{60}}``
and ``\frac{1}{2^{61}}`` differ here. Every operation is refused before it is computed when its
result would be enormous.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction

from cropi.verifiers.numbers import MOST_BITS, MOST_DIGITS, Oversize, power

LARGEST_FACTORIAL = 2000
DEEPEST = 60
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<sign>\\frac|\\cdot|\\times|\\div|[-+*/^!(){}]))"
)
_TIMES = ("*", r"\cdot", r"\times")
_OVER = ("/", r"\div")


class NotRational(ValueError):
    """The text is not arithmetic on rational numbers."""


def evaluate(text: str) -> Fraction | None:
    r"""The value of canonical text made of numbers, ``+ - * / ^ !``, ``\frac`` and brackets.

    None when it holds anything else, has no value (1/0) or is nested deeper than 60. Raises
    Oversize when a number in it would exceed 50,000 bits. Two factors must have a sign between
    them: ``2\frac12`` could mean either of two things.
    """
    try:
        return _Reader(_without_outer_brackets(text)).value()
    except (NotRational, ZeroDivisionError):
        return None


def _without_outer_brackets(text: str) -> str:
    """Drop brackets that enclose everything, in one pass however many there are."""
    text = text.strip()
    leading = len(text) - len(text.lstrip("("))
    trailing = len(text) - len(text.rstrip(")"))
    depth = lowest = leading
    for sign in text[leading : len(text) - trailing]:
        depth += (sign == "(") - (sign == ")")
        lowest = min(lowest, depth)
    layers = min(lowest, trailing) if depth == trailing else 0
    return text[layers : len(text) - layers]


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def value(self) -> Fraction:
        value = self._sum()
        if self._at != len(self._tokens):
            raise NotRational("something follows the expression")
        return value

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _sum(self) -> Fraction:
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotRational("nested too deep")
        value = self._product()
        while self._peek() in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        self._depth -= 1
        return _bounded(value)

    def _product(self) -> Fraction:
        value = self._signed()
        while self._peek() in (*_TIMES, *_OVER):
            value = value * self._signed() if self._take() in _TIMES else value / self._signed()
            _bounded(value)
        return value

    def _signed(self) -> Fraction:
        sign = 1
        while self._peek() in ("+", "-"):
            sign = -sign if self._take() == "-" else sign
        return sign * self._power()

    def _power(self) -> Fraction:
        base = self._factorial()
        if self._peek() != "^":
            return base
        self._take()
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotRational("nested too deep")
        exponent = self._signed()
        self._depth -= 1
        if exponent.denominator != 1:
            raise NotRational("a root")
        return power(base, exponent.numerator)

    def _factorial(self) -> Fraction:
        value = self._atom()
        if self._peek() == "!":
            self._take()
            if self._peek() == "!" or value.denominator != 1 or value < 0:
                raise NotRational("not an ordinary factorial")
            if value > LARGEST_FACTORIAL:
                raise Oversize("a factorial")
            value = Fraction(math.factorial(value.numerator))
        return value

    def _atom(self) -> Fraction:
        token = self._take()
        if token in ("(", "{"):
            return self._closing(")" if token == "(" else "}")
        if token == r"\frac":
            above, below = self._braced(), self._braced()
            return above / below
        if token[:1].isdigit() or token[:1] == ".":
            return Fraction(token.rstrip("."))
        raise NotRational(f"{token!r} is no number")

    def _braced(self) -> Fraction:
        if self._take() != "{":
            raise NotRational("a fraction without braces")
        return self._closing("}")

    def _closing(self, bracket: str) -> Fraction:
        value = self._sum()
        if self._take() != bracket:
            raise NotRational("brackets do not match")
        return value


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotRational(f"{text[at : at + 10]!r} is not arithmetic")
        if match["number"] and len(match["number"]) > MOST_DIGITS:
            raise Oversize("a long number")
        yield match["number"] or match["sign"]
        at = match.end()


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise Oversize("a long number")
    return value
