"""Answers written as equations."""

from __future__ import annotations

import pytest

from cropi.verifiers.equations import comparable, is_name, sides


@pytest.mark.parametrize(("text", "parts"), [
    ("x = 5", ["x", "5"]), ("2+3=5=5", ["2+3", "5", "5"]), ("x=3, y=4", ["x=3, y=4"]),
    ("f(x=2)", ["f(x=2)"]), (r"x \le 5", [r"x \le 5"]), ("x<=5", ["x<=5"]), ("x==5", ["x==5"]),
    (r"\sqrt2 \approx 1.41", [r"\sqrt2"]), (r"x \approx 1.41", ["x", "1.41"]), ("=5", ["=5"]),
    (r"\approx 8", ["8"]), ("5! = 120", ["5!", "120"]), ("", [""]),
    ("x=3 or x=4", ["x=3 or x=4"]), ("(x,y)=(1,2)", ["(x,y)", "(1,2)"]),
])
def test_sides(text: str, parts: list[str]) -> None:
    assert sides(text) == parts


@pytest.mark.parametrize(("text", "expected"), [
    ("x", True), ("f(3)", True), ("S_n", True), ("x_{12}", True), (r"\text{Area}", True),
    (r"\angle ABC", True), ("f'(x)", True),
    (r"f^{-1}(x)", True), (r"\frac{dy}{dx}", True), (r"(x,\theta)", True), ("(x,2)", False), ("2x",
    False), ("x+y", False), ("5", False),
    ("x^2", False), ("", False), ("a" * 5000, False),
])
def test_names(text: str, expected: bool) -> None:
    assert is_name(text) is expected


def test_what_is_compared_of_equations() -> None:
    assert comparable("5", "x=5") == ("5", "5")
    assert comparable("x=5", "5") == ("5", "5")
    assert comparable("x=5", "x=6") == ("5", "6")
    assert comparable("x=5", "y=5") == ("x=5", "y=5")  # left to computer algebra
    assert comparable("2x+z=1", "1") is None  # the gold is the equation
    assert comparable("14", "2+3=6") is None  # the answer contradicts itself
    assert comparable("7", "a+b=7") == ("7", "7")
    assert comparable("x=5", "5", whole=True) is None
    assert comparable("x=5", "x=6", whole=True) == ("5", "6")
