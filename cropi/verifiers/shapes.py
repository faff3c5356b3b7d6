r"""Answers of several parts: lists, sets, tuples, intervals and their unions, matrices.

Only the outline is read here; what the parts mean is ``agreement``'s business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from cropi.verifiers.numbers import Oversize, read_number

Kind = Literal["value", "list", "set", "ordered", "union", "matrix"]

MOST_PARTS = 300
MOST_OPEN = 100  # brackets
DEEPEST = 20
_MARK = re.compile(
    r"\\(?P<begin>begin|end)\s*\{(?P<environment>[a-z]+\*?)\}|\\langle|\\rangle|\\cup(?![A-Za-z])"
    r"|\\(?:pm|mp)(?![A-Za-z])|\\[A-Za-z]+|\\\\|\\[{}]|\\.|[()\[\]{},;:&]",
    re.DOTALL,
)
_OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\langle": r"\rangle"}
_CLOSING = frozenset(_OPENING.values())
_MATRIX = re.compile(
    r"\\begin\s*\{(?P<kind>[pbB]?matrix|smallmatrix|array)\*?\}(?:\s*\{[lcr| ]*\})?(?P<body>.*)"
    r"\\end\s*\{(?P=kind)\*?\}",
    re.DOTALL,
)
_BRACKETED = re.compile(
    r"\A[(\[]\s*(\\begin\s*\{(?:matrix|array|smallmatrix)\}.*\})\s*[)\]]\Z", re.DOTALL
)
_SIGNED_BOTH = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")
_JOINED = re.compile(
    r"\s*[,;]?\s*(?:\\(?:text|mathrm|mbox)\s*\{\s*[,;]?\s*(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)"
    r"(?![A-Za-z])|\\(?:vee|lor)(?![A-Za-z]))\s*"
)
_EMPTY = re.compile(r"\\(?:emptyset|varnothing)|\\\{\s*\\\}|\{\s*\\\}")


@dataclass(frozen=True, slots=True)
class Shape:
    """``ordered`` has ``brackets``, such as ``[)``; a ``union``'s parts are ordered pairs.

    A matrix's parts are its rows. ``letter`` is the variable that an inequality spoke of.
    """

    kind: Kind
    text: str
    parts: tuple[Shape, ...] = ()
    brackets: str = ""
    letter: str = ""


@lru_cache(maxsize=16384)
def shape_of(text: str) -> Shape:
    """The outline of canonical text. Raises Oversize beyond 300 parts or 20 levels of parts."""
    refuse_nesting(text)
    return _shape(text.strip(), 0)


def refuse_nesting(text: str) -> None:
    """Raise Oversize, in one pass, where more than 100 brackets are open at once."""
    depth = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if depth > MOST_OPEN:
            raise Oversize("brackets within brackets")


def _shape(text: str, depth: int) -> Shape:
    if depth > DEEPEST:
        raise Oversize("brackets within brackets")
    if _EMPTY.fullmatch(text):
        return Shape("set", text)
    if read_number(text) is not None:
        return Shape("value", text)
    both = both_signs(text)
    if both:
        return Shape("list", text, _parts(both, depth))
    text = without_brackets(text)
    items = split(text, (",", ";"), joined=True)
    if len(items) > 1:
        return Shape("list", text, _parts(items, depth))
    unions = split(text, (r"\cup",))
    if len(unions) > 1:
        parts = _parts(unions, depth)
        flat = [interval for part in parts for interval in _intervals(part)]
        whole = all(_intervals(part) for part in parts)
        return Shape("union" if whole else "value", text, tuple(flat) if whole else ())
    matrix = _MATRIX.fullmatch(_BRACKETED.sub(r"\1", text))
    if matrix:
        rows = [row for row in split(matrix["body"], (r"\\",)) if row]
        return Shape("matrix", text, tuple(
            Shape("ordered", row, _parts(split(row, ("&",)), depth)) for row in rows
        ))
    inside, brackets = enclosed(text)
    if brackets:
        items = split(inside, (",", ";"), joined=brackets == r"\{\}")
        several = _parts(both_signs(inside) or items, depth)
        if brackets == r"\{\}":
            return Shape("set", text, several)
        if len(several) > 1:
            return Shape("ordered", text, several, brackets)
    return Shape("value", text)


def _intervals(shape: Shape) -> tuple[Shape, ...]:
    """What a piece of a union adds to it; a number of a set is an interval of its own."""
    if shape.kind == "set":
        return tuple(
            Shape("ordered", f"[{part.text},{part.text}]", (part, part), "[]")
            for part in shape.parts
        )
    return shape.parts if shape.kind == "union" else (shape,) if shape.kind == "ordered" else ()


def _parts(texts: Sequence[str], depth: int) -> tuple[Shape, ...]:
    if len(texts) > MOST_PARTS:
        raise Oversize(f"{len(texts)} parts")
    single = (text for whole in texts for text in both_signs(whole) or [whole])
    return tuple(_shape(text, depth + 1) for text in single)


def both_signs(text: str) -> list[str]:
    r"""``2 \pm 3`` as two texts, with all upper and all lower signs; else none."""
    if not _SIGNED_BOTH.search(text) or len(split(text, (",", ";"), joined=True)) > 1:
        return []
    upper = text.replace(r"\pm", " + ").replace(r"\mp", " - ")
    lower = text.replace(r"\pm", " - ").replace(r"\mp", " + ")
    return [upper.strip(), lower.strip()]


def split(text: str, separators: Sequence[str], *, joined: bool = False) -> list[str]:
    """The trimmed pieces between separators outside all brackets.

    With ``joined``, the words "and" and "or" separate too.
    """
    if joined and ("and" in text or "or" in text or r"\vee" in text):
        text = _outside(text)
    pieces, start = [], 0
    for mark, begin, depth in _marks(text):
        if depth == 0 and mark in separators:
            pieces.append(text[start:begin].strip())
            start = begin + len(mark)
    pieces.append(text[start:].strip())
    if len(pieces) > 1 and not pieces[-1] and separators != (r"\\",):
        pieces.pop()  # a trailing comma
    return pieces


def _outside(text: str) -> str:
    """ "and" and "or" outside brackets as commas."""
    marks, next_mark, depth = _marks(text), 0, 0
    found, closed = [], 0
    for match in _JOINED.finditer(text):
        while next_mark < len(marks) and marks[next_mark][1] < match.start():
            mark, _, depth = marks[next_mark]
            depth += mark in _OPENING or mark.startswith(r"\begin")
            next_mark += 1
        if depth <= 0:
            found.append(text[closed : match.start()] + " , ")
            closed = match.end()
    return "".join(found) + text[closed:]


def _marks(text: str) -> list[tuple[str, int, int]]:
    """(mark, place, depth of what stands around it) for every mark of the outline."""
    found, depth = [], 0
    for match in _MARK.finditer(text):
        mark = match.group()
        opens = mark in _OPENING or match["begin"] == "begin"
        closes = mark in _CLOSING or match["begin"] == "end"
        depth -= closes
        found.append((mark, match.start(), depth))
        depth += opens
    return found


def enclosed(text: str) -> tuple[str, str]:
    r"""What one pair of brackets around everything holds, and the pair: ``()``, ``[)``, ``\{\}``.

    Halves of intervals may be of two kinds. Two empty texts when nothing encloses everything.
    """
    marks = _marks(text)
    if not marks or marks[0][1] != 0 or marks[0][0] not in _OPENING:
        return "", ""
    end = next((at for at, (_, _, depth) in enumerate(marks) if at and depth == 0), -1)
    last, place, _ = marks[end]
    if end < 0 or last not in _CLOSING or place + len(last) != len(text):
        return "", ""
    first = marks[0][0]
    if last != _OPENING[first] and not {first, last} <= {"(", "[", ")", "]"}:
        return "", ""
    return text[len(first) : place].strip(), first + last


def without_brackets(text: str) -> str:
    """Without parentheses or braces that enclose one thing only: ``((-8))`` is ``-8``."""
    for _ in range(DEEPEST):
        inside, brackets = enclosed(text)
        several = len(split(inside, (",", ";"))) > 1 if brackets else True
        if several or brackets not in ("()", "{}"):
            break
        text = inside
    return text
