"""Whether two answers agree, part by part.

True and False are certain, up to the conventions; None means that computer algebra may know more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from cropi.verifiers.congruences import same_class
from cropi.verifiers.conventions import Conventions
from cropi.verifiers.equations import comparable, sides
from cropi.verifiers.identity import identical, is_polynomial, proportion
from cropi.verifiers.normalise import compact, unwrapped
from cropi.verifiers.notations import in_words, same_in_bases, without_base
from cropi.verifiers.numbers import read_number
from cropi.verifiers.rational import without_outer_brackets
from cropi.verifiers.relations import fewest_intervals, inequality, region
from cropi.verifiers.shapes import Shape, shape_of, split
from cropi.verifiers.syntax import understood
from cropi.verifiers.tree import ONE, Node, constant, minus, multiply
from cropi.verifiers.units import split_units

_MEMBER = re.compile(r"\A\\?[A-Za-z]\s*\\in(?![A-Za-z])\s*(\\\{.*\\\})\Z", re.DOTALL)


@dataclass(frozen=True)
class Agreement:
    """Compares canonical texts under ``conventions``."""

    conventions: Conventions

    def of(self, gold: str, answer: str) -> bool | None:
        """Raises Oversize for what is too large, Undefined for what has no value."""
        if compact(unwrapped(gold)) == compact(unwrapped(answer)):
            return not self._is_unreduced(answer)
        bare = without_base(gold), without_base(answer)
        if None not in bare:
            return same_in_bases(gold, answer)
        if bare != (None, None):
            if self.conventions.bases == "always":
                return False
            gold, answer = bare[0] or gold, bare[1] or answer
        gold, answer = (_MEMBER.sub(r"\1", text) for text in (gold, answer))
        for verdict in (self._regions, same_class, self._words):
            found = verdict(gold, answer)
            if found is not None:
                return found
        if self.conventions.approximations == "refused" and r"\approx" in answer:
            return False
        reduced = comparable(gold, answer, whole=self.conventions.equations == "whole")
        if reduced is None:
            return False
        if reduced != (gold, answer):
            return self.of(*reduced)
        related = [len(sides(text)) > 1 or inequality(text) is not None for text in reduced]
        if all(related):
            return _same_relation(gold, answer)
        if any(related):
            other = reduced[related.index(False)]
            return False if shape_of(other).kind != "value" or _is_plain(other) else None
        return self._shapes(shape_of(gold), shape_of(answer))

    def _words(self, gold: str, answer: str) -> bool | None:
        return in_words(gold, answer, self.conventions)

    def _regions(self, gold: str, answer: str) -> bool | None:
        """An inequality or a set of all x with one, beside another or beside intervals."""
        left, right = region(gold), region(answer)
        if left is None and right is None:
            return None
        pair = left or _intervals(gold), right or _intervals(answer)
        if pair[0] is not None and pair[1] is not None:
            return self._unions(pair[0], pair[1])
        if inequality(gold) and inequality(answer):
            return None
        other = sides(answer if left else gold)[-1]
        return False if shape_of(other).kind != "value" or _is_plain(other) else None

    def _shapes(self, gold: Shape, answer: Shape) -> bool | None:
        flexible = self.conventions.lists == "flexible"
        match gold.kind, answer.kind:
            case ("value", "value"):
                return self._values(gold.text, answer.text)
            case ("matrix", "matrix"):
                return self._in_order(gold.parts, answer.parts)
            case ("matrix", "ordered") | ("ordered", "matrix"):
                return self._vectors(gold, answer)
            case ("ordered", "ordered"):
                alike = _bracket_kind(gold) == _bracket_kind(answer)
                return self._in_order(gold.parts, answer.parts) if alike else False
            case ("ordered", "list") | ("list", "ordered"):
                brackets = gold.brackets or answer.brackets
                if not flexible or brackets != "()":
                    return False
                return self._in_order(_without_names(gold.parts), _without_names(answer.parts))
            case ("set", "set"):
                return self._in_any_order(self._distinct(gold), self._distinct(answer))
            case ("list", "list"):
                return self._in_any_order(*_with_names_alike(gold.parts, answer.parts))
            case ("set", "list") | ("list", "set"):
                pair = _with_names_alike(gold.parts, answer.parts)
                return self._in_any_order(*pair) if flexible else False
            case ("set", "value" | "ordered") | ("value" | "ordered", "set"):
                single = [s.parts if s.kind == "set" else (s,) for s in (gold, answer)]
                return self._in_order(*single) if flexible and all(single) else False
            case ("union", "list") | ("list", "union"):
                return self._unions(*(replace(s, kind="union") for s in (gold, answer)))
            case ("union", "union" | "ordered") | ("ordered", "union"):
                return self._unions(gold, answer)
        texts = [s.text for s in (gold, answer) if s.kind == "value"]
        return False if all(map(_is_plain, texts)) else None

    def _vectors(self, gold: Shape, answer: Shape) -> bool | None:
        """A row or a column beside a tuple."""
        entries = [_entries(shape) for shape in (gold, answer)]
        if self.conventions.vectors == "apart" or not all(entries):
            return False
        return self._in_order(*entries)

    def _unions(self, gold: Shape, answer: Shape) -> bool | None:
        if gold.letter and answer.letter and gold.letter != answer.letter:
            return False
        pair = [s.parts if s.kind == "union" else (s,) for s in (gold, answer)]
        if any(p.kind != "ordered" or len(p.parts) != 2 for parts in pair for p in parts):
            return False
        found = self._in_any_order(*pair)
        if found is not False or max(map(len, pair)) == 1:
            return found
        # Intervals that overlap or touch can be written as fewer.
        fewest = [fewest_intervals(parts) for parts in pair]
        return None if None in fewest else fewest[0] == fewest[1]

    def _in_order(self, gold: Sequence[Shape], answer: Sequence[Shape]) -> bool | None:
        if len(gold) != len(answer):
            return False
        return _all(self._part, zip(gold, answer, strict=True))

    def _in_any_order(self, gold: Sequence[Shape], answer: Sequence[Shape]) -> bool | None:
        """Each part of one has its own partner in the other."""
        if len(gold) != len(answer):
            return False
        left, unsure = list(answer), False
        for part in gold:
            found = []
            for other in left:
                found.append(self._part(part, other))
                if found[-1]:
                    left.remove(other)
                    break
            if not any(found) and None not in found:
                return False
            unsure |= not any(found)
        return None if unsure else True

    def _distinct(self, shape: Shape) -> list[Shape]:
        kept: list[Shape] = []
        for part in shape.parts:
            if not any(self._part(part, other) for other in kept):
                kept.append(part)
        return kept

    def _part(self, gold: Shape, answer: Shape) -> bool | None:
        if gold.kind == answer.kind == "value":
            return self.of(gold.text, answer.text)
        return self._shapes(gold, answer)

    def _values(self, gold: str, answer: str) -> bool | None:
        if self.conventions.units == "compared":
            units = [compact(split_units(text)[1]).casefold() for text in (gold, answer)]
            if all(units) and units[0] != units[1]:
                return False
        ratios = [split(without_outer_brackets(text), (":",)) for text in (gold, answer)]
        if any(len(parts) > 1 for parts in ratios):
            return self._ratios(*ratios)
        if self._is_unreduced(answer):
            return False
        left, right = map(self._number, (gold, answer))
        if left is not None and right is not None:
            return left == right
        nodes = [
            self._node(text) if value is None else constant(value)
            for text, value in ((gold, left), (answer, right))
        ]
        return None if nodes[0] is None or nodes[1] is None else identical(nodes[0], nodes[1])

    def _number(self, text: str) -> Fraction | None:
        if self.conventions.degrees == "angle" and r"\circ" in text:
            return None
        return read_number(text, self.conventions.percent)

    def _node(self, text: str) -> Node | None:
        if self.conventions.degrees == "angle" and r"\circ" in text:
            return understood(text, True)
        bare = split_units(text)[0]
        percent = bare.endswith("%")
        if percent:
            bare = split_units(bare[:-1].rstrip())[0]
        node = understood(without_outer_brackets(bare))
        if node is None or not percent or self.conventions.percent == "unit":
            return node
        return multiply(node, constant(Fraction(1, 100)))

    def _ratios(self, gold: Sequence[str], answer: Sequence[str]) -> bool | None:
        """``1:2:3`` and ``2:4:6`` are one ratio; ``3:4`` is also the quotient 3/4."""
        if self.conventions.ratios == "text":
            return False
        nodes = [[self._node(part) for part in parts] for parts in (gold, answer)]
        left, right = (parts if len(parts) > 1 else [*parts, ONE] for parts in nodes)
        if len(left) != len(right) or None in left or None in right:
            return False
        crossed = [
            (multiply(left[0], theirs), multiply(right[0], ours))  # type: ignore[arg-type]
            for ours, theirs in zip(left[1:], right[1:], strict=True)
        ]
        return _all(identical, crossed)

    def _is_unreduced(self, answer: str) -> bool:
        if self.conventions.fractions == "any":
            return False
        node = understood(answer)
        while node is not None and node.operation == "negate":
            node = node.parts[0]
        if node is None or node.operation != "divide":
            return False
        over, under = node.parts
        if over.operation != "number" or under.operation != "number":
            return False
        return under.value == 1 or math.gcd(over.value.numerator, under.value.numerator) != 1


def _same_relation(gold: str, answer: str) -> bool | None:
    """Two equations, or two inequalities: whether one is a multiple of the other."""
    left, right = inequality(gold), inequality(answer)
    if (left is None) != (right is None):
        return False
    if left is not None and right is not None:
        pairs, strict = [left[:2], right[:2]], [left[2], right[2]]
    else:
        pairs, strict = [tuple(sides(gold)), tuple(sides(answer))], [True, True]  # type: ignore[list-item]
        if any(len(pair) != 2 for pair in pairs):
            return None
    nodes = [[understood(side) for side in pair] for pair in pairs]
    if any(node is None for pair in nodes for node in pair):
        return None
    zero = [minus(*pair) for pair in nodes]  # type: ignore[arg-type]
    ratio = proportion(zero[0], zero[1])
    if ratio is None:
        return False if all(map(is_polynomial, zero)) else None
    return strict[0] == strict[1] and (left is None or ratio > 0)


def _all(
    compare: Callable[..., bool | None], pairs: Iterable[tuple[object, object]]
) -> bool | None:
    """False if any is, else None if any is."""
    unsure = False
    for pair in pairs:
        found = compare(*pair)
        if found is False:
            return False
        unsure |= found is None
    return None if unsure else True


def _bracket_kind(shape: Shape) -> str:
    """The ends of pairs are kept apart, they may be intervals; longer rows are tuples."""
    if shape.brackets in ("()", r"\langle\rangle") or len(shape.parts) > 2:
        return "tuple"
    return shape.brackets


def _entries(shape: Shape) -> Sequence[Shape]:
    """The entries of a tuple, of one row or of one column; none of anything else."""
    if shape.kind == "ordered":
        return shape.parts if _bracket_kind(shape) == "tuple" else ()
    if len(shape.parts) == 1:
        return shape.parts[0].parts
    column = all(len(row.parts) == 1 for row in shape.parts)
    return tuple(row.parts[0] for row in shape.parts) if column else ()


def _intervals(text: str) -> Shape | None:
    shape = shape_of(sides(text)[-1])
    if shape.kind == "ordered" and len(shape.parts) == 2 and shape.brackets[0] in "([":
        return replace(shape, kind="union", parts=(shape,))
    return shape if shape.kind == "union" else None


def _is_plain(text: str) -> bool:
    """Whether a value is a number, an expression or a ratio that is read here: nothing else."""
    return all(
        read_number(piece) is not None or understood(split_units(piece)[0]) is not None
        for piece in split(text, (":",))
    )


def _without_names(parts: Sequence[Shape]) -> tuple[Shape, ...]:
    """``x=3`` as 3, for a list beside a tuple."""
    return tuple(
        shape_of(sides(part.text)[-1]) if part.kind == "value" else part for part in parts
    )


def _with_names_alike(
    gold: Sequence[Shape], answer: Sequence[Shape]
) -> tuple[Sequence[Shape], Sequence[Shape]]:
    """Names are compared where both lists give them; where one does not, they say nothing."""
    named = [
        any(part.kind == "value" and len(sides(part.text)) > 1 for part in parts)
        for parts in (gold, answer)
    ]
    if all(named):
        return gold, answer
    return _without_names(gold), _without_names(answer)
