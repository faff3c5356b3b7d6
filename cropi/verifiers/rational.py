r"""Exact arithmetic on rational numbers: the value of an expression, where it has such a one.

Decides most answers without a computer algebra system and without rounding: ``\frac{1}{2^{60}}``
and ``\frac{1}{2^{61}}`` differ here. Every operation is refused before it is computed when its
result would be enormous.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from cropi.verifiers.numbers import MOST_BITS, Oversize, power
from cropi.verifiers.syntax import understood
from cropi.verifiers.tree import Node

LARGEST_FACTORIAL = 2000
NOWHERE: Mapping[str, Fraction] = {}


class NotRational(ValueError):
    """The expression has no rational value, or none that is found without algebra."""


class Undefined(ValueError):
    """The expression has no value: a division by zero, the logarithm of zero."""


def evaluate(text: str) -> Fraction | None:
    r"""The value of canonical text that is arithmetic on rational numbers.

    None when it holds anything else or has no value (1/0). Raises Oversize when a number in it
    would exceed 50,000 bits.
    """
    node = understood(without_outer_brackets(text))
    try:
        return None if node is None else exact(node)
    except (NotRational, ZeroDivisionError):
        return None


def without_outer_brackets(text: str) -> str:
    """Drop brackets that enclose everything, in one pass however many there are."""
    text = text.strip()
    leading = len(text) - len(text.lstrip("("))
    trailing = len(text) - len(text.rstrip(")"))
    depth = lowest = leading
    for sign in text[leading : len(text) - trailing]:
        depth += (sign == "(") - (sign == ")")
        lowest = min(lowest, depth)
    layers = min(lowest, trailing) if depth == trailing else 0
    return text[layers : len(text) - layers]


def exact(node: Node, at: Mapping[str, Fraction] = NOWHERE) -> Fraction:
    """The value where the letters are ``at``.

    Raises NotRational, ZeroDivisionError, and Oversize beyond 50,000 bits.
    """
    match node.operation:
        case "number":
            return node.value
        case "letter" if node.name in at:
            return at[node.name]
        case "add":
            return _bounded(sum((exact(part, at) for part in node.parts), Fraction(0)))
        case "multiply":
            product = Fraction(1)
            for part in node.parts:
                product = _bounded(product * exact(part, at))
            return product
        case "divide":
            above, below = (exact(part, at) for part in node.parts)
            return _bounded(above / below)
        case "negate":
            return -exact(node.parts[0], at)
        case "power":
            return _raised(*(exact(part, at) for part in node.parts))
        case "root":
            return _root(*(exact(part, at) for part in node.parts))
        case "factorial":
            return Fraction(math.factorial(_small(exact(node.parts[0], at))))
        case "call":
            return _call(node.name, [exact(part, at) for part in node.parts])
    raise NotRational(node.operation)


def _raised(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator == 1:
        return power(base, exponent.numerator)
    return _root(power(base, exponent.numerator), Fraction(exponent.denominator))


def _root(radicand: Fraction, index: Fraction) -> Fraction:
    """An exact root; of a negative number by an odd index, the real one."""
    if index.denominator != 1 or not 0 < index < 1000:
        raise NotRational("a strange root")
    if radicand < 0:
        if index % 2 == 0:
            raise NotRational("an imaginary root")
        return -_root(-radicand, index)
    n = index.numerator
    return Fraction(_whole_root(radicand.numerator, n), _whole_root(radicand.denominator, n))


def _whole_root(value: int, index: int) -> int:
    """Newton's method on integers."""
    if index == 2:
        root = math.isqrt(value)
    elif value < 2:
        root = value
    else:
        root = 1 << (value.bit_length() // index + 1)
        while (lower := ((index - 1) * root + value // root ** (index - 1)) // index) < root:
            root = lower
    if root**index != value:
        raise NotRational("a root that is not exact")
    return root


def _small(value: Fraction) -> int:
    """What a factorial or binomial is taken of."""
    if value.denominator != 1 or value < 0:
        raise NotRational("not an ordinary factorial")
    if value > LARGEST_FACTORIAL:
        raise Oversize("a factorial")
    return value.numerator


def _call(name: str, values: list[Fraction]) -> Fraction:
    match name:
        case "abs":
            return abs(values[0])
        case "floor":
            return Fraction(math.floor(values[0]))
        case "ceil":
            return Fraction(math.ceil(values[0]))
        case "double factorial":
            return Fraction(math.prod(range(_small(values[0]), 0, -2)))
        case "binomial":
            return _binomial(values[0], _small(values[1]))
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "gcd" if all(value.denominator == 1 for value in values):
            return Fraction(math.gcd(*(value.numerator for value in values)))
    raise NotRational(name)


def _binomial(of: Fraction, chosen: int) -> Fraction:
    product = Fraction(1)
    for step in range(chosen):
        product = _bounded(product * (of - step) / (step + 1))
    return product


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise Oversize("a long number")
    return value
