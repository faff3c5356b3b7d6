r"""Answers modulo a number: ``x \equiv 3 \pmod 7``, ``3 \pmod 7``, ``17 \bmod 5``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cropi.verifiers.numbers import read_number

_CONGRUENCE = re.compile(
    r"(?:(?P<name>\\?[A-Za-z]+)\s*\\equiv\s*)?(?P<residue>-?\d+)\s*\(?\s*"
    r"(?:\\(?:pmod|mod|bmod)(?![A-Za-z])|\\(?:text|mathrm)\s*\{\s*mod\s*\}|mod(?![A-Za-z]))"
    r"\s*\{?\s*(?P<modulus>[1-9]\d{0,20})\s*\}?\s*\)?"
)


@dataclass(frozen=True, slots=True)
class Congruence:
    """The class of ``residue`` modulo ``modulus``; a ``name`` says which unknown lies in it."""

    name: str
    residue: int
    modulus: int


def congruence(text: str) -> Congruence | None:
    match = _CONGRUENCE.fullmatch(text) if "mod" in text and len(text) < 200 else None
    if match is None:
        return None
    return Congruence(match["name"] or "", int(match["residue"]), int(match["modulus"]))


def same_class(gold: str, answer: str) -> bool | None:
    """The verdict when either text is a congruence, else None.

    Two classes need one modulus, and where both name an unknown, one name. A plain number must be
    the residue as it is written or reduced, so that 10 is no answer to ``3 \\pmod 7``.
    """
    left, right = congruence(gold), congruence(answer)
    if left and right:
        named = bool(left.name and right.name)
        return (
            left.modulus == right.modulus
            and (left.residue - right.residue) % left.modulus == 0
            and not (named and left.name != right.name)
        )
    found, other = (left, answer) if left else (right, gold)
    if found is None:
        return None
    value = read_number(other)
    return value in (found.residue, found.residue % found.modulus)
