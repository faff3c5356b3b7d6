r"""Inequalities as the intervals they describe: ``3 < x \le 8`` is ``(3,8]``."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from cropi.verifiers.rational import evaluate, without_outer_brackets
from cropi.verifiers.shapes import Shape, shape_of, split

_RELATION = re.compile(r"\\(?:le|ge|ne|in|notin|lt|gt)(?![A-Za-z])|[<>]")
_ANY = re.compile(r"\\(?:le|ge|ne|in|lt|gt|mathbb|mid)(?![A-Za-z])|[<>|:]")
_LETTER = re.compile(r"\\?[A-Za-z]+(?:_\{?\w+\}?)?|[A-Za-z]\([a-z]\)")
_OR = re.compile(r"\\text\s*\{\s*,?\s*or\s*\}|(?<![A-Za-z\\])or(?![A-Za-z])|\\(?:vee|lor|cup)\b")
_AND = re.compile(
    r"\\text\s*\{\s*,?\s*and\s*\}|(?<![A-Za-z\\])and(?![A-Za-z])|\\(?:wedge|land)(?![A-Za-z])"
)
_BUILDER = re.compile(
    r"\\\{\s*(?P<letter>[A-Za-z])\s*(?:\\in\s*(?:\\mathbb\s*\{?R\}?|R))?\s*(?:\\mid|\||:|\\colon)"
    r"(?P<condition>.*)\\\}", re.DOTALL,
)
_DISTANCE = re.compile(
    r"\|\s*(?P<letter>[A-Za-z])\s*(?:(?P<sign>[-+])\s*(?P<centre>[^|+-]+))?\|"
)
_REALS = re.compile(
    r"(?:[A-Za-z]\s*\\in\s*)?\\mathbb\s*\{?\s*R\s*\}?|(?:\\text\{)?all real numbers\}?"
)
_INFINITY = r"\infty"


@lru_cache(maxsize=16384)
def region(text: str) -> Shape | None:
    r"""The union of intervals that canonical text describes, or None when it describes none.

    Reads one letter between constants: ``x > 2``, ``1 < x \le 5``, ``x \ne 3``, two of these
    joined by "or" or "and", ``x \in S`` and ``\{x : …\}``. The parts stand as they were written;
    none is merged with another.
    """
    if _REALS.fullmatch(text):
        return _union(text, [_interval("(", "-" + _INFINITY, _INFINITY, ")")], "")
    if not _ANY.search(text):
        return None
    builder = _BUILDER.fullmatch(text)
    if builder:
        text = builder["condition"].strip()
    either = [piece.strip() for piece in _OR.split(text)]
    if len(either) > 1 and _RELATION.search(text):
        found = [region(piece) for piece in either]
        if all(found) and len({f.letter for f in found if f}) == 1:
            intervals = [part for f in found if f for part in f.parts]
            return _union(text, intervals, found[0].letter if found[0] else "")
        return None
    both = [piece.strip() for piece in _AND.split(text)]
    if len(both) == 2:
        return _intersection(text, *(region(piece) for piece in both))
    return _single(text)


def _single(text: str) -> Shape | None:
    signs = [match.group() for match in _RELATION.finditer(text)]
    terms = [term.strip() for term in _RELATION.split(text)]
    if len(terms) == 2 and signs == [r"\in"] and _LETTER.fullmatch(terms[0]):
        inside = shape_of(terms[1])
        if inside.kind == "union":
            return Shape("union", text, inside.parts, letter=terms[0])
        if inside.kind == "ordered" and len(inside.parts) == 2:
            return _union(text, [inside], terms[0])
        return None
    if len(terms) == 2:
        around = _around(text, terms, signs[0])
        if around is not None:
            return around
        if _LETTER.fullmatch(terms[1]) and not _LETTER.fullmatch(terms[0]):
            terms, signs = terms[::-1], [_turned(signs[0])]
        return _one_sided(text, terms[0], signs[0], terms[1])
    if len(terms) == 3 and _LETTER.fullmatch(terms[1]):
        if all(_is_greater(sign) for sign in signs):
            terms, signs = terms[::-1], [_turned(sign) for sign in signs[::-1]]
        if all(_is_less(sign) for sign in signs):
            left = "[" if signs[0] == r"\le" else "("
            right = "]" if signs[1] == r"\le" else ")"
            return _union(text, [_interval(left, terms[0], terms[2], right)], terms[1])
    return None


def _around(text: str, terms: list[str], sign: str) -> Shape | None:
    """``|x - c| < a`` and its kin."""
    if not _DISTANCE.fullmatch(terms[0]):
        terms, sign = terms[::-1], _turned(sign)
    match = _DISTANCE.fullmatch(terms[0])
    if match is None or not terms[1] or not (_is_less(sign) or _is_greater(sign)):
        return None
    centre = f"-({match['sign']}{match['centre']})" if match["centre"] else ""
    low, high = f"{centre}-({terms[1]})", f"{centre}+({terms[1]})"
    if _is_less(sign):
        ends = "[]" if sign == r"\le" else "()"
        return _union(text, [_interval(ends[0], low, high, ends[1])], match["letter"])
    ends = "][" if sign == r"\ge" else ")("
    outer = [
        _interval("(", "-" + _INFINITY, low, ends[0]), _interval(ends[1], high, _INFINITY, ")")
    ]
    return _union(text, outer, match["letter"])


def _one_sided(text: str, letter: str, sign: str, bound: str) -> Shape | None:
    if not _LETTER.fullmatch(letter) or not bound or _RELATION.search(bound):
        return None
    if len(split(bound, (",", ";"))) > 1:
        return None
    if sign == r"\ne":
        parts = [_interval("(", "-" + _INFINITY, bound, ")"), _interval("(", bound, _INFINITY, ")")]
        return _union(text, parts, letter)
    if _is_less(sign):
        closing = "]" if sign == r"\le" else ")"
        return _union(text, [_interval("(", "-" + _INFINITY, bound, closing)], letter)
    if _is_greater(sign):
        opening = "[" if sign == r"\ge" else "("
        return _union(text, [_interval(opening, bound, _INFINITY, ")")], letter)
    return None


def _intersection(text: str, first: Shape | None, second: Shape | None) -> Shape | None:
    """Of a bound from below and a bound from above."""
    if not first or not second or first.letter != second.letter:
        return None
    if len(first.parts) != 1 or len(second.parts) != 1:
        return None
    pieces = [first.parts[0], second.parts[0]]
    below = [p for p in pieces if p.parts[1].text == _INFINITY]
    above = [p for p in pieces if p.parts[0].text == "-" + _INFINITY]
    if len(below) != 1 or len(above) != 1 or below[0] is above[0]:
        return None
    left, right = below[0], above[0]
    joined = _interval(left.brackets[0], left.parts[0].text, right.parts[1].text, right.brackets[1])
    return _union(text, [joined], first.letter)


Ends = tuple[float | Fraction, bool, float | Fraction, bool]


def fewest_intervals(parts: Sequence[Shape]) -> list[Ends] | None:
    """The same numbers in the fewest intervals, in order: (low, closed, high, closed).

    None unless all ends are rational numbers or infinite.
    """
    ends = sorted(
        (filter(None, map(_ends, parts))), key=lambda e: (e[0], not e[1], e[2], e[3])
    )
    if len(ends) != len(parts):
        return None
    found: list[Ends] = []
    for low, low_closed, high, high_closed in ends:
        if low > high or (low == high and not (low_closed and high_closed)):
            continue  # empty
        before = found[-1] if found else None
        if before and (low < before[2] or (low == before[2] and (low_closed or before[3]))):
            further = max((before[2], before[3]), (high, high_closed))
            found[-1] = (before[0], before[1], *further)
        else:
            found.append((low, low_closed, high, high_closed))
    return found


def _ends(interval: Shape) -> Ends | None:
    values = [_end(part.text) for part in interval.parts]
    if len(values) != 2 or values[0] is None or values[1] is None:
        return None
    return values[0], interval.brackets[0] == "[", values[1], interval.brackets[-1] == "]"


def _end(text: str) -> float | Fraction | None:
    bare = without_outer_brackets(text).replace(" ", "")
    if bare.lstrip("+-") == _INFINITY:
        return -math.inf if bare.startswith("-") else math.inf
    return evaluate(text)


def inequality(text: str) -> tuple[str, str, bool] | None:
    r"""(smaller side, larger side, strict) of one ``<``, ``>``, ``\le`` or ``\ge``."""
    signs = [match.group() for match in _RELATION.finditer(text)]
    terms = [term.strip() for term in _RELATION.split(text)]
    if len(signs) != 1 or not all(terms):
        return None
    if _is_less(signs[0]):
        return terms[0], terms[1], signs[0] != r"\le"
    return (terms[1], terms[0], signs[0] != r"\ge") if _is_greater(signs[0]) else None


def _is_less(sign: str) -> bool:
    return sign in ("<", r"\lt", r"\le")


def _is_greater(sign: str) -> bool:
    return sign in (">", r"\gt", r"\ge")


def _turned(sign: str) -> str:
    pairs = {"<": ">", r"\lt": r"\gt", r"\le": r"\ge"}
    return {**pairs, **{right: left for left, right in pairs.items()}}.get(sign, sign)


def _interval(opening: str, low: str, high: str, closing: str) -> Shape:
    text = f"{opening}{low},{high}{closing}"
    ends = Shape("value", low), Shape("value", high)
    return Shape("ordered", text, ends, opening + closing)


def _union(text: str, intervals: list[Shape], letter: str) -> Shape:
    return Shape("union", text, tuple(intervals), letter=letter)
