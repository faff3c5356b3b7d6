"""Random answers whose values are known.

The value of a tree is worked out here, with fractions and coefficients only, and so is an oracle
that shares nothing with any verifier: a scalar is a polynomial in x with rational coefficients, a
collection holds constants. ``spelling`` writes a tree in one of many ways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial
from random import Random

Polynomial = tuple[Fraction, ...]  # the i-th is the coefficient of x^i; the last is not zero

HIGHEST_DEGREE = 6
LARGEST = 10**9


@dataclass(frozen=True)
class Tree:
    """``kind`` and parts: trees, or the digits of a leaf."""

    kind: str
    parts: tuple[Tree | str, ...]
    value: Hashable


def number(value: Fraction | int) -> Polynomial:
    return (Fraction(value),) if value else ()


def added(left: Polynomial, right: Polynomial) -> Polynomial:
    size = max(len(left), len(right))
    sums = [
        sum((side[i] for side in (left, right) if i < len(side)), Fraction(0)) for i in range(size)
    ]
    while sums and not sums[-1]:
        sums.pop()
    return tuple(sums)


def multiplied(left: Polynomial, right: Polynomial) -> Polynomial:
    if not left or not right:
        return ()
    products = [Fraction(0)] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            products[i + j] += a * b
    return tuple(products)


def _leaf(random: Random) -> Tree:
    kind = random.choice(["integer", "integer", "decimal", "fraction", "mixed", "x", "special"])
    if kind == "x":
        return Tree("x", (), (Fraction(0), Fraction(1)))
    if kind == "integer":
        digits = str(random.choice([random.randint(0, 12), random.randint(0, 10**5)]))
        return Tree("integer", (digits,), number(int(digits)))
    if kind == "decimal":
        whole, part = random.randint(0, 99), f"{random.randint(0, 999):03d}"
        return Tree("decimal", (str(whole), part), number(whole + Fraction(int(part), 1000)))
    top, bottom = random.randint(1, 30), random.randint(2, 30)
    if kind == "fraction":
        return Tree("fraction", (str(top), str(bottom)), number(Fraction(top, bottom)))
    if kind == "mixed":
        whole, top = random.randint(1, 20), random.randint(1, bottom - 1)
        value = number(whole + Fraction(top, bottom))
        return Tree("mixed", (str(whole), str(top), str(bottom)), value)
    n, k = random.randint(0, 7), random.randint(0, 7)
    return random.choice([
        Tree("factorial", (str(n),), number(factorial(n))),
        Tree("binomial", (str(n), str(k)), number(comb(n, k))),
        Tree("root", (str(n * n),), number(n)),
        Tree("absolute", (str(n),), number(n)),
    ])


def scalar(random: Random, depth: int = 3) -> Tree:
    if depth == 0 or random.random() < 0.3:
        return _leaf(random)
    kind = random.choice(["sum", "difference", "product", "quotient", "power", "negative"])
    left = scalar(random, depth - 1)
    a: Polynomial = left.value  # type: ignore[assignment]
    if kind == "negative":
        return Tree(kind, (left,), multiplied(number(-1), a))
    if kind == "power":
        exponent, value = random.randint(0, 3), number(1)
        for _ in range(exponent):
            value = multiplied(value, a)
        tree = Tree(kind, (left, str(exponent)), value)
        return tree if a and _fits(value) else left  # 0^0 is left out
    right = scalar(random, depth - 1)
    b: Polynomial = right.value  # type: ignore[assignment]
    if kind == "quotient":
        if len(b) != 1:
            return left
        value = multiplied(a, number(1 / b[0]))
    elif kind == "product":
        value = multiplied(a, b)
    else:
        value = added(a, b if kind == "sum" else multiplied(number(-1), b))
    return Tree(kind, (left, right), value) if _fits(value) else left


def _fits(value: Polynomial) -> bool:
    small = all(abs(c.numerator) <= LARGEST and c.denominator <= LARGEST for c in value)
    return small and len(value) <= HIGHEST_DEGREE + 1


def constant(random: Random, depth: int = 2) -> Tree:
    while True:
        tree = scalar(random, depth)
        if len(tree.value) <= 1:  # type: ignore[arg-type]
            return tree


def answer(random: Random) -> Tree:
    """A scalar, or a collection of constants."""
    kind = random.choice(["scalar"] * 5 + ["set", "tuple", "list", "interval", "vector", "choice"])
    if kind == "scalar":
        return scalar(random)
    if kind == "choice":
        letter = random.choice("ABCDE")
        return Tree("choice", (letter,), ("choice", letter))
    parts = tuple(constant(random, 1) for _ in range(random.randint(2, 4)))
    values = tuple(part.value for part in parts)
    if kind == "interval":
        ends = sorted(parts[:2], key=lambda part: part.value or (Fraction(0),))
        if ends[0].value == ends[1].value:
            return ends[0]
        brackets = random.choice(["[)", "(]", "[]"])  # "()" is a pair as well
        value = ("interval", brackets, ends[0].value, ends[1].value)
        return Tree("interval", (brackets, *ends), value)
    if kind == "set":
        return Tree(kind, parts, ("set", frozenset(values)))
    if kind == "list":
        return Tree(kind, parts, ("list", frozenset(Counter(values).items())))
    return Tree(kind, parts, (kind, values))


def comparable(left: Tree, right: Tree) -> bool:
    """Whether the two are equal just when their values are: a list may stand for a set or tuple."""
    kinds = {left.kind, right.kind}
    whole = {"set", "tuple", "interval"}
    return len(kinds) == 1 or kinds <= whole or not kinds & {*whole, "list", "vector"}


def nudged(tree: Tree, random: Random) -> Tree:
    """A scalar a little larger."""
    step = 10 ** random.randint(1, 30)
    little = Tree("fraction", ("1", str(step)), number(Fraction(1, step)))
    return Tree("sum", (tree, little), added(tree.value, little.value))  # type: ignore[arg-type]
