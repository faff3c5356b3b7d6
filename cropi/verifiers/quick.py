r"""What can be said of two mathematical answers without computer algebra: most of it, exactly."""

from __future__ import annotations

import re
from fractions import Fraction

from cropi.verifiers.comparison import Comparison
from cropi.verifiers.equations import comparable
from cropi.verifiers.guard import too_large
from cropi.verifiers.normalise import chosen_letter, compact, option_letter, unwrapped, words
from cropi.verifiers.numbers import Oversize, Percent, read_number
from cropi.verifiers.rational import evaluate
from cropi.verifiers.structure import alike
from cropi.verifiers.units import strip_units

_BASE = re.compile(r"([0-9A-F]+)_\{?(?:\\text\{)?(\w+?)\}*")


def decide(gold: str, answer: str, percent: Percent) -> Comparison | tuple[str, str]:
    """Equal or not, for canonical texts; or the two texts that need computer algebra."""
    if compact(unwrapped(gold)) == compact(unwrapped(answer)):
        return Comparison(True, "exact")
    based, other = _BASE.fullmatch(gold), _BASE.fullmatch(answer)
    if based and other:
        return Comparison(based.groups() == other.groups(), "exact")
    gold, answer = based[1] if based else gold, other[1] if other else answer
    said = _in_words(gold, answer)
    if said is not None:
        return Comparison(said, "exact")
    try:
        reduced = comparable(gold, answer)
        if reduced is None:
            return Comparison(False, "exact")
        gold, answer = (_algebra(text, percent) for text in reduced)
        left, right = number(gold, percent), number(answer, percent)
    except Oversize:
        same = compact(gold) == compact(answer)
        return Comparison(same, "exact", "ok" if same else "oversize")
    if left is not None and right is not None:
        return Comparison(left == right, "numeric")
    if compact(gold) == compact(answer):
        return Comparison(True, "exact")
    pair = alike(gold, answer)
    if pair is None:
        return Comparison(False, "exact")
    if too_large(gold) or too_large(answer):
        return Comparison(False, "none", "oversize")
    return pair


def needs_algebra(gold: str, percent: Percent) -> tuple[str, str] | None:
    """The pair that tells by computer algebra whether a gold is usable; None when it surely is."""
    if _BASE.fullmatch(gold) or option_letter(gold) or words(gold) is not None:
        return None
    try:
        left, right = (_algebra(text, percent) for text in comparable(gold, gold) or (gold, gold))
        settled = number(left, percent) is not None or too_large(left)
    except Oversize:
        return None
    return None if settled else (left, right)


def number(text: str, percent: Percent) -> Fraction | None:
    """The exact value of canonical text that is a number or arithmetic on numbers."""
    value = read_number(text, percent)
    return evaluate(text) if value is None else value


def _in_words(gold: str, answer: str) -> bool | None:
    """The verdict when either side is prose or a multiple-choice letter, else None."""
    letter = option_letter(gold)
    if letter is not None:
        return chosen_letter(answer) == letter
    if all(len(bare) == 1 and bare.isalpha() for bare in map(unwrapped, (gold, answer))):
        return gold == answer  # math-verify takes a for A
    said = words(gold)
    if said is not None:
        return compact(said) == compact(unwrapped(answer).casefold())
    return False if words(answer) is not None else None


def _algebra(text: str, percent: Percent) -> str:
    bare = strip_units(text)
    return strip_units(bare[:-1].rstrip()) if percent == "unit" and bare.endswith("%") else bare
