r"""Golds of one spelling: padded zeros, ``.0``, stray ``$`` and full stops, commas between answers.

Nothing here changes what a gold means. How answers may be spelled is the verifier's affair.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(-?)0*([0-9]+)(?:\.([0-9]+))?")
_DOLLAR = re.compile(r"(?<!\\)\$")
# Not an ellipsis, not \right. and not the last letter of an abbreviation such as p.m.
_FULL_STOP = re.compile(r"(?<![.\\])(?<!\\left)(?<!\\right)(?<!\.[A-Za-z])\.$")


def normal(gold: str) -> str:
    r"""``025`` is 25, ``27.0`` is 27, ``-07`` is -7 and ``-0`` is 0; ``0.50`` stays 0.50.

    Only whole golds that are plain decimal numbers: ``007b``, ``1,000.0``, ``1e3`` and ``.50``
    stay. An odd ``$`` closes nothing: then all go (``$221,$8$``). A full stop at the end goes.
    """
    if len(_DOLLAR.findall(gold)) % 2:
        gold = _DOLLAR.sub("", gold)
    gold = _FULL_STOP.sub("", gold.strip()).strip()
    number = _NUMBER.fullmatch(gold)
    if number is None:
        return gold
    sign, whole, fraction = number[1], number[2], number[3] or ""
    if not fraction.strip("0"):
        return whole if whole == "0" else sign + whole
    return f"{sign}{whole}.{fraction}"


def answers_in(gold: str) -> list[str]:
    """The parts between the commas that stand in no bracket: ``(1,2),(3,4)`` has two."""
    parts, depth, start = [], 0, 0
    for place, mark in enumerate(gold):
        # Either side of a half-open interval: [0,1) closes what it opens.
        depth += (mark in "([{") - (mark in ")]}")
        if mark == "," and depth <= 0:
            parts.append(gold[start:place].strip())
            start = place + 1
    return [*parts, gold[start:].strip()]


def spaced(gold: str) -> str:
    """Several answers apart by ", ", so that 5,100 is two numbers and not five thousand."""
    return ", ".join(filter(None, answers_in(gold)))
