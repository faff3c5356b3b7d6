r"""Values of any expression with an error that is known, by ball arithmetic (Arb, in python-flint).

A ball is a number with a radius that holds for certain, so two values whose balls do not meet do
differ. That two constants are *equal* is proved for numbers made of integers with ``+ - * /`` and
roots: what is not zero there cannot be smaller than a separation bound (Burnikel, Funke, Mehlhorn,
Schirra and Schmitt, 2001).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from flint import acb, arb, ctx, fmpq

from cropi.verifiers.numbers import MOST_BITS, Oversize
from cropi.verifiers.rational import LARGEST_FACTORIAL, NotRational, Undefined, exact
from cropi.verifiers.tree import Node, walk

PRECISION = 2048  # bits
_LARGEST_ARGUMENT = 2**40  # of a function; nothing larger is an answer
_FUNCTIONS = {
    "sin": acb.sin, "cos": acb.cos, "tan": acb.tan, "cot": acb.cot, "sec": acb.sec, "csc": acb.csc,
    "asin": acb.asin, "acos": acb.acos, "atan": acb.atan,
    "sinh": acb.sinh, "cosh": acb.cosh, "tanh": acb.tanh, "log": acb.log,
}  # fmt: skip


class Unsupported(ValueError):
    """A part of the expression has no ball."""


@dataclass(frozen=True)
class Value:
    """A ball, and whether every root and logarithm in it was taken of a positive real number."""

    ball: acb
    is_tame: bool


def value_of(node: Node, at: Mapping[str, Fraction]) -> Value:
    """The value where the letters are ``at``.

    Raises Undefined, Unsupported, and Oversize for powers and factorials beyond the limits.
    """
    # Set, not restored: another thread may be computing, and the error bounds hold at any.
    ctx.prec = PRECISION
    reader = _Evaluation(at)
    ball = reader.ball(node)
    if not ball.is_finite():
        raise Undefined("no finite value")
    return Value(ball, reader.is_tame)


class _Evaluation:
    def __init__(self, at: Mapping[str, Fraction]) -> None:
        self._at = at
        self.is_tame = True

    def ball(self, node: Node) -> acb:
        match node.operation:
            case "number":
                return _ball(node.value)
            case "letter" if node.name in self._at:
                return _ball(self._at[node.name])
            case "constant":
                return _constant(node.name)
            case "add":
                return sum((self.ball(part) for part in node.parts[1:]), self.ball(node.parts[0]))
            case "multiply":
                product = self.ball(node.parts[0])
                for part in node.parts[1:]:
                    product *= self.ball(part)
                return product
            case "divide":
                above, below = map(self.ball, node.parts)
                if below.contains(0):
                    raise Undefined("a division by zero")
                return above / below
            case "negate":
                return -self.ball(node.parts[0])
            case "degrees":
                return self.ball(node.parts[0]) * arb.pi() / 180
            case "power":
                return self._power(*node.parts)
            case "root":
                index = self.ball(node.parts[1]).unique_fmpz()
                if index is None or index < 1:
                    raise Unsupported("a strange root")
                if index >= 1000:
                    raise Oversize("the index of a root")
                return self._root(self.ball(node.parts[0]), int(index))
            case "factorial":
                of = self.ball(node.parts[0])
                if not of.abs_upper() < LARGEST_FACTORIAL:
                    raise Oversize("a factorial")
                return (of + 1).gamma()
            case "call":
                return self._call(node.name, [self.ball(part) for part in node.parts])
        raise Unsupported(node.operation)

    def _power(self, under: Node, raised: Node) -> acb:
        base, exponent = self.ball(under), self.ball(raised)
        fraction = _as_fraction(raised)
        _refuse_enormous(base, exponent)
        if fraction is not None and fraction.denominator == 1:
            if fraction < 0 and base.contains(0):
                raise Undefined("a division by zero")
            return base ** fraction.numerator
        if fraction is not None and fraction.denominator < 1000:
            root = self._root(base, fraction.denominator)
            if fraction < 0 and root.contains(0):
                raise Undefined("a division by zero")
            return root ** fraction.numerator
        if not (base.imag == 0 and base.real > 0):
            self.is_tame = False
        if base.contains(0):
            raise Undefined("a power of zero")
        return base**exponent

    def _root(self, base: acb, index: int) -> acb:
        real = base.imag == 0
        if real and base.real < 0 and index % 2:
            return -((-base).root(index))
        if not (real and base.real >= 0):
            self.is_tame = False
        return base.sqrt() if index == 2 else base.root(index)

    def _call(self, name: str, values: list[acb]) -> acb:
        of = values[0]
        if name in ("abs", "floor", "ceil"):
            return _rounded(name, of)
        if name == "binomial":
            return _binomial(*values)
        if name not in _FUNCTIONS or len(values) != 1:
            raise Unsupported(name)
        if not of.abs_upper() < _LARGEST_ARGUMENT and name != "log":
            raise Oversize("a function of a large number")
        if name == "log":
            if of.contains(0):
                raise Undefined("the logarithm of zero")
            self.is_tame &= bool(of.imag == 0 and of.real > 0)
        found = _FUNCTIONS[name](of)
        if not found.is_finite():
            raise Undefined(name)
        return found


def _ball(value: Fraction) -> acb:
    return acb(arb(fmpq(value.numerator, value.denominator)))


def _constant(name: str) -> acb:
    match name:
        case "pi":
            return acb(arb.pi())
        case "e":
            return acb(arb(1).exp())
        case "i":
            return acb(0, 1)
    raise Unsupported(name)


def _rounded(name: str, of: acb) -> acb:
    if name == "abs":
        return acb(abs(of))
    if of.imag != 0:
        raise Unsupported("a complex number to round")
    found = (of.real.floor() if name == "floor" else of.real.ceil()).unique_fmpz()
    if found is None:
        raise Unsupported("a number too near to an integer to round")
    return acb(found)


def _binomial(of: acb, chosen: acb) -> acb:
    if not max(of.abs_upper(), chosen.abs_upper()) < LARGEST_FACTORIAL:
        raise Oversize("a binomial")
    return (of + 1).gamma() * (chosen + 1).rgamma() * (of - chosen + 1).rgamma()


def _as_fraction(node: Node) -> Fraction | None:
    """The exact value of an exponent that is one."""
    try:
        return exact(node)
    except (NotRational, ZeroDivisionError):
        return None


def _refuse_enormous(base: acb, exponent: acb) -> None:
    size = max(abs(_log2(base.abs_upper())), abs(_log2(base.abs_lower())), 1.0)
    if not size * float(exponent.abs_upper().mid()) <= MOST_BITS:
        raise Oversize("a power")


def _log2(size: arb) -> float:
    mantissa, exponent = size.mid().man_exp()
    return float(exponent) + int(mantissa).bit_length() if mantissa != 0 else 0.0


def smaller_than_bits(ball: acb) -> float:
    """b such that the ball's values are surely below 2**-b in size; infinite for an exact zero."""
    upper = ball.abs_upper()
    return math.inf if upper == 0 else -_log2(upper) - 1


def separation_bits(node: Node) -> float | None:
    """b such that the constant ``node`` is zero if it is below 2**-b; None if it is not algebraic.

    The BFMSS bound: |E| is zero or at least (u^(D-1) l)^-1, with u and l read off the expression
    and D the product of the indices of all different roots.
    """
    try:
        over, under = _bounds(node)
    except Unsupported:
        return None
    degree = 1
    for part in set(walk(node)):
        degree *= _index(part)
    return (degree - 1) * over + under


def _index(node: Node) -> int:
    if node.operation == "root":
        return int(_as_fraction(node.parts[1]) or 1)
    if node.operation == "power":
        fraction = _as_fraction(node.parts[1])
        return 1 if fraction is None else fraction.denominator
    return 2 if node.operation == "constant" and node.name == "i" else 1


def _bounds(node: Node) -> tuple[float, float]:
    """The logarithms to base 2 of u and l."""
    parts = [] if node.operation == "power" else [_bounds(p) for p in node.parts[:1]]
    match node.operation:
        case "number":
            value = node.value
            return float(max(1, abs(value.numerator)).bit_length()), float(
                value.denominator.bit_length()
            )
        case "constant" if node.name == "i":
            return 0.0, 0.0
        case "negate":
            return parts[0]
        case "add" | "multiply" | "divide":
            over, under = parts[0]
            for part in node.parts[1:]:
                right_over, right_under = _bounds(part)
                if node.operation == "divide":
                    over, under = over + right_under, under + right_over
                elif node.operation == "multiply":
                    over, under = over + right_over, under + right_under
                else:
                    over = max(over + right_under, under + right_over) + 1
                    under = under + right_under
            return over, under
        case "root":
            return _bounds_of_root(*parts[0], _index(node))
        case "power":
            fraction = _as_fraction(node.parts[1])
            if fraction is None or fraction.denominator >= 1000:
                raise Unsupported("a power that is not algebraic")
            over, under = _bounds_of_root(*_bounds(node.parts[0]), fraction.denominator)
            times = abs(fraction.numerator)
            over, under = times * over, times * under
            return (over, under) if fraction > 0 else (under, over)
    raise Unsupported(node.operation)


def _bounds_of_root(over: float, under: float, index: int) -> tuple[float, float]:
    if index == 1:
        return over, under
    if over >= under:
        return (over + (index - 1) * under) / index, under
    return over, (under + (index - 1) * over) / index
