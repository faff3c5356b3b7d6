"""Mathematical expressions as trees, and what can be asked of them without computing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Operation = Literal[
    "number", "letter", "constant", "add", "multiply", "divide", "negate", "power", "root",
    "call", "factorial", "degrees",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """One operation. ``name`` is a letter's, a constant's (pi, e, i, infinity) or a function's.

    ``add`` and ``multiply`` take any number of ``parts``; ``divide`` and ``power`` two; ``root``
    takes radicand and index; ``call`` the arguments of the function ``name``; ``degrees`` the
    number of degrees.
    """

    operation: Operation
    parts: tuple[Node, ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)


ONE = Node("number", value=Fraction(1))


def constant(value: int | Fraction) -> Node:
    return Node("number", value=Fraction(value))


def add(*parts: Node) -> Node:
    return parts[0] if len(parts) == 1 else Node("add", parts)


def multiply(left: Node, right: Node) -> Node:
    """A long product is one node, not a deep tree."""
    factors = left.parts if left.operation == "multiply" else (left,)
    return Node("multiply", (*factors, right))


def negate(part: Node) -> Node:
    return Node("negate", (part,))


def minus(left: Node, right: Node) -> Node:
    return Node("add", (left, negate(right)))


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.parts)


def letters(node: Node) -> frozenset[str]:
    return frozenset(part.name for part in walk(node) if part.operation == "letter")


def infinite(node: Node) -> int | None:
    """1 for infinity, -1 for minus infinity, 0 where none occurs; None for other uses of it."""
    sign = 1
    while node.operation == "negate":
        node, sign = node.parts[0], -sign
    if node.operation == "constant" and node.name == "infinity":
        return sign
    return None if any(part.name == "infinity" for part in walk(node)) else 0


def assumes_positive(node: Node) -> bool:
    """Whether a letter stands under a root, in a logarithm, or under or in a broken exponent."""
    for part in walk(node):
        under = part.parts[0] if part.parts else None
        takes_real = part.operation == "root" or (part.operation == "call" and part.name == "log")
        if part.operation == "power":
            exponent = part.parts[1]
            while exponent.operation == "negate":
                exponent = exponent.parts[0]
            takes_real = exponent.operation != "number" or exponent.value.denominator != 1
        if takes_real and under is not None and any(letters(p) for p in part.parts):
            return True
    return False


def counts(node: Node) -> frozenset[str]:
    """Letters that must be whole numbers: those in an exponent of a negative number."""
    found: frozenset[str] = frozenset()
    for part in walk(node):
        if part.operation == "power":
            base = part.parts[0]
            if base.operation == "negate" and not letters(base):
                found |= letters(part.parts[1])
    return found
