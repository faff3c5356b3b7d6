"""Numbers as people write them, read exactly.

A comma is a thousands mark or separates two numbers; it is never a decimal mark: ``1,234`` is
1234 and ``6,2`` no number.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal

from cropi.verifiers.normalise import unwrapped
from cropi.verifiers.units import strip_units

Percent = Literal["unit", "hundredth"]

MOST_DIGITS = 2000  # as written
MOST_BITS = 50_000  # as computed
_WHOLE = r"(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,2}(?: \d{3})+|\d+)"
_DECIMAL = rf"(?:{_WHOLE}(?:\.(?:(?:\d{{3}} )+\d{{1,3}}|\d*))?|\.\d+)"
_TEN = r"(?:e|\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*)"
_LITERAL = re.compile(rf"(?P<value>{_DECIMAL})(?:{_TEN}\{{?(?P<power>[+-]?\d+)\}}?)?", re.I)
_REPEATING = re.compile(r"(?P<whole>\d*)\.(?P<once>\d*)\\overline\s*\{(?P<again>\d+)\}")
_FRACTION = re.compile(
    rf"(?:(?P<whole>\d+)(?:\s*(?=\\)|\s+))?"
    rf"(?:\\frac\s*\{{\s*(?P<over>-?{_DECIMAL})\s*\}}\s*\{{\s*(?P<under>-?{_DECIMAL})\s*\}}"
    rf"|(?P<top>{_DECIMAL})\s*/\s*(?P<bottom>-?{_DECIMAL}))"
)


_SCALED = re.compile(
    r"(?P<value>.*[\d})])\s*(?:\\text\s*\{\s*)?(?P<scale>dozen|hundred|thousand|million|billion|trillion)s?"
    r"\s*\}?", re.I,
)
_SCALES = {
    "dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9,
    "trillion": 10**12,
}  # fmt: skip


class Oversize(ValueError):
    """A number too large to be worth computing."""


def read_number(text: str, percent: Percent = "unit") -> Fraction | None:
    """The exact value of a number, fraction, mixed number, percentage or repeating decimal.

    Currency signs must be gone already; units are dropped. ``percent`` says what ``35%`` is: 35
    (the sign is a unit) or 35/100. None when it is not one number, or divides by zero. Raises
    Oversize beyond 2000 digits or 50,000 bits.
    """
    bare, times = strip_units(text), Fraction(1)
    if bare.endswith("%"):
        bare = strip_units(bare[:-1].rstrip())
        times = Fraction(1, 100) if percent == "hundredth" else times
    scaled = _SCALED.fullmatch(bare)
    if scaled:
        bare, times = strip_units(scaled["value"]), times * _SCALES[scaled["scale"].lower()]
    value = _signed(bare)
    return None if value is None else value * times


def _signed(bare: str) -> Fraction | None:
    bare = unwrapped(bare)
    sign = 1
    while bare[:1] in ("-", "+", "("):
        if bare[0] == "(":
            if bare[-1] != ")" or "," in bare:  # (12,102) is a pair
                return None
            bare = bare[1:-1].strip()
        else:
            if bare[0] == "-":
                sign = -sign
            bare = bare[1:].lstrip()
            if bare[:1] in ("-", "+"):
                return None
    value = _unsigned(bare)
    return None if value is None else sign * value


def _unsigned(text: str) -> Fraction | None:
    literal = _LITERAL.fullmatch(text)
    if literal:
        return _decimal(literal["value"]) * power(Fraction(10), int(literal["power"] or 0))
    repeating = _REPEATING.fullmatch(text)
    if repeating:
        return _repeating_decimal(*repeating.groups())
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    over = _decimal(match["over"] or match["top"])
    under = _decimal(match["under"] or match["bottom"])
    if under == 0:
        return None
    value = over / under
    if match["whole"] is None:
        return value
    # A mixed number has a proper fraction; anything else beside an integer is ambiguous.
    return int(match["whole"]) + value if 0 < value < 1 else None


def _decimal(text: str) -> Fraction:
    if len(text) > MOST_DIGITS:
        raise Oversize(f"a number of {len(text)} digits")
    return Fraction(re.sub(r"[, ]", "", text).rstrip("."))


def _repeating_decimal(whole: str, once: str, again: str) -> Fraction:
    r"""``0.1\overline{6}`` is 1/10 + 6/90."""
    start = _decimal(f"{whole or 0}.{once}")
    return start + _decimal(again) / ((10 ** len(again) - 1) * 10 ** len(once))


def power(base: Fraction, exponent: int) -> Fraction:
    """``base ** exponent``, refused (Oversize) before it is computed when it has too many digits.

    Raises ZeroDivisionError for a negative power of zero.
    """
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits > 1 and bits * abs(exponent) > MOST_BITS:
        raise Oversize(f"a power with exponent {str(exponent)[:20]}")
    return Fraction(base**exponent)
