r"""Answers of several parts: sets, tuples and intervals, bare lists."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["set", "ordered", "list", "single"]

_SIGN = re.compile(r"\\[{}]|\\.|[()\[\]{},;]", re.DOTALL)
_OPENING = ("(", "[", "{", r"\{")
_CLOSING = (")", "]", "}", r"\}")


def kind(text: str) -> Kind:
    r"""``\{1,2\}`` is a set, ``(1,2)`` and ``[1,2)`` are ordered, ``1,2`` is a list."""
    depth, closed_at, inside, outside = 0, -1, False, False
    for sign in _SIGN.finditer(text):
        mark = sign.group()
        depth += (mark in _OPENING) - (mark in _CLOSING)
        if mark in _CLOSING and depth == 0 and closed_at < 0:
            closed_at = sign.end()
        if mark in (",", ";"):
            inside, outside = inside or depth == 1, outside or depth == 0
    if outside:
        return "list"
    whole = inside and closed_at == len(text)
    if whole and text.startswith(r"\{"):
        return "set"
    return "ordered" if whole and text.startswith(("(", "[")) else "single"


def alike(gold: str, answer: str) -> tuple[str, str] | None:
    """The two texts with a bare list beside a tuple read as one, in its order.

    None when they cannot be equal: a set is no tuple and no interval.
    """
    kinds = kind(gold), kind(answer)
    if set(kinds) == {"set", "ordered"}:
        return None
    if set(kinds) == {"ordered", "list"}:
        return (f"({gold})", answer) if kinds[0] == "list" else (gold, f"({answer})")
    return gold, answer
