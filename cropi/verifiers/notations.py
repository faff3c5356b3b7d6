"""Answers that are written digits or words with rules of their own: bases, times of day, prose."""

from __future__ import annotations

import re

from cropi.verifiers.conventions import Conventions
from cropi.verifiers.normalise import chosen_letter, compact, option_letter, unwrapped, words
from cropi.verifiers.shapes import split

_BASE = re.compile(r"(?P<digits>-?[0-9A-Fa-f]+)_\{?\(?(?:\\text\{)?(?P<base>\w+?)\}*\)?\}*")
_BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "sixteen": 16,
}  # fmt: skip
_TIME = re.compile(r"(?P<time>\d{1,2}:\d{2}(?::\d{2})?)\s*(?P<half>[ap])\.?\s?m\.?", re.IGNORECASE)


def without_base(text: str) -> str | None:
    """The digits of a number in a named base; None when no base is named."""
    match = _BASE.fullmatch(text)
    return match["digits"] if match else None


def same_in_bases(gold: str, answer: str) -> bool:
    """Whether two numbers, each with its base, have one value."""
    return _value(gold) == _value(answer)


def _value(text: str) -> int | tuple[str, str]:
    """The number, or its digits and base where the base is no number that has those digits."""
    match = _BASE.fullmatch(text)
    assert match is not None
    digits, name = match["digits"].upper(), match["base"].casefold()
    base = int(name) if name.isdigit() else _BASES.get(name, 0)
    if not 2 <= base <= 36 or any(int(digit, 36) >= base for digit in digits.lstrip("-")):
        return digits, name
    return int(digits, base)


def is_time(text: str) -> bool:
    """Whether a time is named with its half of the day: without it, ``10:30`` may be a ratio."""
    return _TIME.fullmatch(unwrapped(text)) is not None


def in_words(gold: str, answer: str, conventions: Conventions) -> bool | None:
    """The verdict when either side is a multiple-choice letter, prose or a time, else None."""
    letter = option_letter(gold)
    if letter is not None:
        chosen = chosen_letter if conventions.choices == "with_text" else option_letter
        return chosen(answer) == letter
    bare = [unwrapped(text) for text in (gold, answer)]
    if all(len(text) == 1 and text.isalpha() for text in bare):
        return gold == answer
    if any(words(text) is not None and not _is_list(text) for text in (gold, answer)):
        left, right = map(compact, bare)
        if conventions.case == "exact":
            return left == right
        return left.casefold() == right.casefold()
    return _same_time(*bare) if any(map(is_time, bare)) else None


def _is_list(text: str) -> bool:
    return len(split(text, (",", ";"), joined=True)) > 1


def _same_time(gold: str, answer: str) -> bool:
    """A time with a.m. or p.m. beside one without is the same time; a ratio is none."""
    found = [_TIME.fullmatch(text) for text in (gold, answer)]
    halves = {match["half"].lower() for match in found if match}
    times = [
        match["time"] if match else text
        for match, text in zip(found, (gold, answer), strict=True)
    ]
    return len(halves) == 1 and times[0].lstrip("0") == times[1].lstrip("0")
