r"""Answers written as equations: ``x = 5``, ``2+3 = 5``, ``y = 2x+3``, ``\sqrt2 \approx 1.41``."""

from __future__ import annotations

import re

from cropi.verifiers.rational import evaluate

_EQUALS = re.compile(r"(?<![<>:=\\])=(?!=)")
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-z]")  # not of a command such as \sqrt
_JOINED = re.compile(r"(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])")
_TUPLE = re.compile(r"\(\s*\\?[A-Za-z]\w*(?:\s*,\s*\\?[A-Za-z]\w*)+\s*\)")
_DERIVATIVE = re.compile(r"\\frac\s*\{\s*(?:d|\\partial)[^{}]*\}\s*\{\s*(?:d|\\partial)[^{}]*\}")
_NAME = re.compile(
    r"(?:\\(?:text|mathrm|mathbf|operatorname|angle|triangle|overline|widehat|Delta|theta)\b)?"
    r"\s*\{?\s*[A-Za-z\\][A-Za-z \\]*\}?(?:_\{?\w+\}?)?(?:\^\{-1\})?'*\s*(?:\([^()=,]*\))?"
)


def sides(text: str) -> list[str]:
    r"""The parts between ``=`` signs outside brackets; one part when there is no equation.

    A list of equations (``x=3, y=4``) is one part. After ``\approx`` the exact value that stands
    before it is kept, unless only a name does.
    """
    exact, approximately, rest = text.partition(r"\approx")
    if approximately and exact.strip():
        text = f"{exact} = {rest}" if is_name(exact.strip()) else exact
    elif approximately:
        text = rest
    if _JOINED.search(text):
        return [text.strip()]
    depth, parts, start = 0, [], 0
    equals = {match.start() for match in _EQUALS.finditer(text)}
    for at, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0 and sign in ",;" and equals:
            return [text.strip()]
        if depth == 0 and at in equals:
            parts.append(text[start:at].strip())
            start = at + 1
    parts.append(text[start:].strip())
    return parts if all(parts) else [text.strip()]


def is_name(text: str) -> bool:
    r"""Whether ``text`` only names a quantity: ``x``, ``f(3)``, ``S_n``, ``\text{Area}``."""
    return len(text) < 100 and any(
        pattern.fullmatch(text) for pattern in (_NAME, _TUPLE, _DERIVATIVE)
    )


def comparable(gold: str, answer: str, *, whole: bool = False) -> tuple[str, str] | None:
    """The two sides to compare, or None when the answer contradicts itself or says another thing.

    One equation against a bare value is reduced to its last side: always for an answer (which
    must hold where it is plain arithmetic: ``2+3=5``, not ``2+3=6``), and for a gold when its
    left side is a name or a number, since a gold such as ``2x+z=1`` asks for the equation itself.
    Two equations that define the same name are compared by their last sides. With ``whole``, an
    equation and a bare value are never the same.
    """
    golds, answers = sides(gold), sides(answer)
    if len(answers) > 1 and _contradicts_itself(answers):
        return None
    if len(golds) > 1 and len(answers) > 1:
        same = golds[0] == answers[0] and is_name(golds[0])
        return (golds[-1], answers[-1]) if same else (gold, answer)
    if whole and len(golds) != len(answers):
        return None
    if len(golds) > 1 and not is_name(golds[0]) and _LETTER.search(golds[0]):
        return None
    return golds[-1], answers[-1]


def _contradicts_itself(parts: list[str]) -> bool:
    values = {value for value in map(evaluate, parts) if value is not None}
    return len(values) > 1
