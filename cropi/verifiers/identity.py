r"""Whether two expressions are the same: exactly where that can be had, else with certain errors.

1. Rational numbers are compared exactly.
2. Constants with roots: balls that do not meet differ; below the separation bound they are equal.
3. Other constants (``\pi``, ``e``, logarithms, angles) are equal when they agree to hundreds of
   digits more than they were written with.
4. Expressions with letters are compared at fixed points that no text was made for: exactly for
   rational functions (two different ones agree nowhere near that often), by balls for the rest.
   Letters under roots and in logarithms are positive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction

from cropi.verifiers.numbers import Oversize
from cropi.verifiers.rational import NotRational, Undefined, exact
from cropi.verifiers.tree import (
    Node,
    assumes_positive,
    constant,
    counts,
    infinite,
    letters,
    minus,
    multiply,
    walk,
)

POINTS = 4
# Of the points that are tried.
_SCALES = tuple(map(Fraction, ("1", "1", "3", "17", "1", "100", "1/10", "2000")))
_AGREE_BITS = 400
MOST_LETTERS = 12


def identical(left: Node, right: Node) -> bool | None:
    """True, False, or None when it cannot be told here.

    Raises Undefined when one has no value, Oversize when one is too large to compute.
    """
    signs = infinite(left), infinite(right)
    if signs != (0, 0):
        return None if None in signs else signs == (0, 0) or signs[0] == signs[1]
    names = sorted(letters(left) | letters(right))
    if len(names) > MOST_LETTERS:
        return None
    return _same_function(left, right, names) if names else _same_constant(left, right)


def proportion(left: Node, right: Node) -> Fraction | None:
    """c where left = c · right everywhere and c is a constant other than 0; else None.

    Raises Oversize.
    """
    names = sorted(letters(left) | letters(right))
    if not names or len(names) > MOST_LETTERS or assumes_positive(left) or assumes_positive(right):
        return None
    at = _points(names, with_negative=False)[-1]
    try:
        here = exact(left, at), exact(right, at)
    except (NotRational, ZeroDivisionError):
        return None
    if 0 in here:
        return None
    scaled = multiply(constant(here[1]), left), multiply(constant(here[0]), right)
    return here[0] / here[1] if identical(*scaled) else None


def is_polynomial(node: Node) -> bool:
    """Whether nothing but + - · and whole powers is done to letters."""
    return all(
        not any(letters(part) for part in part_of.parts[1:])
        for part_of in walk(node) if part_of.operation == "divide"
    ) and not any(
        letters(part) and part.operation not in ("letter", "add", "multiply", "divide", "negate")
        and not (part.operation == "power" and not letters(part.parts[1]))
        for part in walk(node)
    )


def defined(node: Node) -> bool | None:
    """Whether the expression has a value at all; None when that cannot be told here."""
    from cropi.verifiers.balls import Unsupported, value_of

    if infinite(node) != 0:
        return True if infinite(node) else None
    names = sorted(letters(node))
    try:
        values = [value_of(node, point) for point in _points(names, with_negative=False)[:2]]
    except Undefined:
        return None if names else False
    except Unsupported:
        return None
    return bool(values)


def _same_constant(left: Node, right: Node) -> bool | None:
    try:
        return exact(left) == exact(right)
    except NotRational:
        pass
    except ZeroDivisionError as error:
        raise Undefined("a division by zero") from error
    from cropi.verifiers.balls import Unsupported, separation_bits, smaller_than_bits, value_of

    try:
        ball = value_of(left, {}).ball - value_of(right, {}).ball
    except Unsupported:
        return None
    if not ball.contains(0):
        return False
    needed = separation_bits(minus(left, right))
    if needed is None:
        needed = _AGREE_BITS + 4 * _written_bits(left, right)
    return True if smaller_than_bits(ball) > needed else None


def _written_bits(*nodes: Node) -> int:
    return sum(
        part.value.numerator.bit_length() + part.value.denominator.bit_length()
        for node in nodes for part in walk(node) if part.operation == "number"
    )


def _same_function(left: Node, right: Node, names: Sequence[str]) -> bool | None:
    signed = not (assumes_positive(left) or assumes_positive(right))
    points = _points(names, with_negative=signed, whole=counts(left) | counts(right))
    agreed = 0
    try:
        for point in points[:POINTS]:
            try:
                if exact(left, point) != exact(right, point):
                    return False
                agreed += 1
            except ZeroDivisionError:
                continue
    except (NotRational, Oversize):
        return _same_by_balls(left, right, points)
    return True if agreed else None


def _same_by_balls(
    left: Node, right: Node, points: Sequence[dict[str, Fraction]]
) -> bool | None:
    """At the points where all roots and logarithms are of positive numbers, if there are enough."""
    from cropi.verifiers.balls import Unsupported, smaller_than_bits, value_of

    needed = _AGREE_BITS + 4 * _written_bits(left, right)
    tame: list[bool | None] = []
    wild: list[bool | None] = []
    for point in points:
        try:
            values = value_of(left, point), value_of(right, point)
        except Undefined:
            continue
        except Unsupported:
            return None
        ball = values[0].ball - values[1].ball
        scale = max(0.0, -smaller_than_bits(values[0].ball))
        verdict: bool | None = None
        if not ball.contains(0):
            verdict = False
        elif smaller_than_bits(ball) > needed - scale:
            verdict = True
        (tame if all(v.is_tame for v in values) else wild).append(verdict)
        if len(tame) == POINTS:
            break
    found = tame if tame else wild
    if False in found:
        return False
    return True if found and None not in found and len(tame or wild) >= 2 else None


def _points(
    names: Sequence[str], *, with_negative: bool, whole: frozenset[str] = frozenset()
) -> list[dict[str, Fraction]]:
    """Fixed values for the letters: fractions near 1 at first, then of other sizes.

    Letters in ``whole`` get small whole numbers, even and odd.
    """
    found = []
    for number, scale in enumerate(_SCALES):
        point = {}
        for place, name in enumerate(names):
            digest = hashlib.sha256(f"{name}:{number}".encode()).digest()
            value = Fraction(2**28 + int.from_bytes(digest[:4], "big"), 2**31 - 1)
            # All positive, all negative, taking turns, then mixed.
            turns = (False, True, place % 2 == 1, digest[4] % 2 == 0)
            negative = with_negative and turns[min(number, 3)]
            point[name] = (-value if negative else value) * scale
            if name in whole:
                point[name] = Fraction(1 + digest[5] % 10 + number)
        found.append(point)
    return found
