r"""Accepted answers from the forms in which data sets store them."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from cropi.boxed import last_boxed

GoldFormat = Literal["plain", "gsm8k", "boxed", "list", "any_of"]

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_LEFTOVER = re.compile(r"\b(solution|answer)\s*:|[\ufffd\x00-\x08]", re.IGNORECASE)
_PLACEHOLDERS = {"proof", "notfound", "nan", "null"}


class UnusableGold(ValueError):
    """A row's answer gives no gold; the text is a short stable phrase for the load report."""


def golds_of(value: Any, form: GoldFormat) -> tuple[str, ...]:
    r"""The alternatives that count as right, from a row's answer field.

    ``plain`` takes the text as it stands; ``gsm8k`` what follows the
    last ``####`` without thousands marks; ``boxed`` the last ``\boxed`` of a solution; ``list``
    joins the parts of one answer with ", "; ``any_of`` takes each item as an alternative. Lists
    may be given as JSON text. Raises UnusableGold with the reason, and TypeError for a value that
    does not fit the format.
    """
    if form == "any_of":
        found = tuple(dict.fromkeys(filter(None, map(_text, _items(value)))))
    elif form == "list":
        found = (", ".join(filter(None, map(_text, _items(value)))),)
    elif form == "gsm8k":
        found = (_after_hashes(_text(value)),)
    elif form == "boxed":
        found = (_boxed(_text(value)),)
    else:
        found = (_text(value),)
    if not any(found):
        raise UnusableGold("empty gold")
    if any(is_corrupt(gold) for gold in found):
        raise UnusableGold("corrupt gold")
    return found


def is_corrupt(gold: str) -> bool:
    """Whether a gold cannot be an answer: a placeholder, a leftover heading, unbalanced braces."""
    bare = _ESCAPED.sub("", gold)
    depth = 0
    for mark in re.findall("[{}]", bare):
        depth += 1 if mark == "{" else -1
        if depth < 0:
            return True
    return depth != 0 or gold.lower() in _PLACEHOLDERS or _LEFTOVER.search(gold) is not None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"holds a {type(value).__name__}")
    return str(value).strip()


def _items(value: Any) -> list[Any]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value, parse_float=str, parse_int=str)
        except ValueError:
            return [value]  # a plain answer such as the interval [0,1)
    return list(value) if isinstance(value, list | tuple) else [value]


def _after_hashes(text: str) -> str:
    _, mark, after = text.rpartition("####")
    if text and not mark:
        raise UnusableGold("no #### in answer")
    return _THOUSANDS.sub("", after.strip())


def _boxed(text: str) -> str:
    found = last_boxed(text)
    if text and found is None:
        raise UnusableGold("no \\boxed in answer")
    return found or ""
