"""What must not reach a computer algebra system: numbers that would fill the memory."""

from __future__ import annotations

import re
from fractions import Fraction

from cropi.verifiers.numbers import Oversize
from cropi.verifiers.rational import LARGEST_FACTORIAL, evaluate

LARGEST_EXPONENT = 2000
LONGEST_NUMBER = 400  # digits
MOST_POWERS = 200
HIGHEST_POWER = 10  # within a sum, an integral or a limit
_WORK = re.compile(r"\\(?:i*int|sum|prod|lim|operatorname|lcm|mod|bmod|pmod)(?![A-Za-z])|!\s*!")
# The upper bound of a sum or an integral is no exponent.
_BOUND = re.compile(r"\\(?:sum|prod|int)\s*(?:_\s*(?:\{[^{}]*\}|\S)\s*)?\^\Z")
_PAIRS = {"{": "}", "(": ")", "[": "]"}
_CLOSING = {right: left for left, right in _PAIRS.items()}


def too_large(text: str) -> bool:
    """Whether canonical text holds a huge number, power or factorial of plain numbers.

    Looks at exponents and at what stands before ``!`` without computing anything big. Where sums,
    integrals and limits are to be worked out, only one of them and only small numbers may occur.
    Symbols are not judged; the worker's limits are for those.
    """
    if _WORK.search(text) and _is_hard_work(text):
        return True
    if re.search(rf"\d{{{LONGEST_NUMBER}}}", text) or sum(map(text.count, "^!")) > MOST_POWERS:
        return True
    for at, sign in enumerate(text):
        if sign == "^" and _exceeds(_after(text, at + 1), LARGEST_EXPONENT):
            return True
        if sign == "!" and _exceeds(_before(text, at), LARGEST_FACTORIAL):
            return True
    return False


def _is_hard_work(text: str) -> bool:
    if len(_WORK.findall(text)) > 1 or re.search(r"\d{4}|!\s*!", text):
        return True
    powers = (
        _after(text, at + 1) for at, sign in enumerate(text)
        if sign == "^" and not _BOUND.search(text, 0, at + 1)
    )
    return any("^" in power or _exceeds(power, HIGHEST_POWER) for power in powers)


def _exceeds(text: str, limit: int) -> bool:
    try:
        value: Fraction | None = evaluate(text)
    except Oversize:
        return True
    return value is not None and abs(value) > limit


def _after(text: str, at: int) -> str:
    """The exponent that starts at ``at``: a bracketed group or a number, with its own powers."""
    start = at
    while at < len(text) and text[at] in " -+":
        at += 1
    if at < len(text) and text[at] in _PAIRS:
        at = _matching(text, at, 1)
    while at < len(text) and (text[at].isdigit() or text[at] == "."):
        at += 1
    if text[at : at + 1] == "^":
        return text[start : at + 1] + _after(text, at + 1)
    return text[start:at]


def _before(text: str, at: int) -> str:
    """The operand that ends before ``at``: a bracketed group or a number."""
    end = at
    while at > 0 and text[at - 1] in " !":
        at -= 1
    if at > 0 and text[at - 1] in _CLOSING:
        return text[_matching(text, at - 1, -1) + 1 : end]
    while at > 0 and text[at - 1].isdigit():
        at -= 1
    return text[at:end]


def _matching(text: str, at: int, step: int) -> int:
    """The place just past the bracket that matches the one at ``at``, going by ``step``."""
    depth = 0
    while 0 <= at < len(text):
        sign = text[at]
        depth += (sign in _PAIRS) - (sign in _CLOSING)
        at += step
        if depth == 0:
            break
    return at
