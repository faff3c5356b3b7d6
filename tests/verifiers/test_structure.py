"""Kinds of answers with several parts, and equations."""

from __future__ import annotations

import pytest

from cropi.verifiers.equations import comparable, is_name, sides
from cropi.verifiers.structure import alike, kind


@pytest.mark.parametrize(("text", "expected"), [
    (r"\{1,2\}", "set"), ("(1,2)", "ordered"), ("[1,2)", "ordered"), ("1,2", "list"),
    ("(1,2),(3,4)", "list"), (r"\{(1,2),(3,4)\}", "set"), ("(1)", "single"), ("x", "single"),
    (r"\frac{1}{2}", "single"), ("f(x,y)", "single"), (r"(\frac{1}{2},3]", "ordered"),
    (r"(-\infty,2)\cup(2,\infty)", "single"), ("", "single"), ("1;2", "list"), (")(", "single"),
])
def test_kind(text: str, expected: str) -> None:
    assert kind(text) == expected


def test_a_bare_list_beside_a_tuple_is_one() -> None:
    assert alike("(1,2)", "1,2") == ("(1,2)", "(1,2)")
    assert alike("1,2", "[1,2]") == ("(1,2)", "[1,2]")
    assert alike("1,2", r"\{2,1\}") == ("1,2", r"\{2,1\}")
    assert alike(r"\{1,2\}", "(1,2)") is None


@pytest.mark.parametrize(("text", "parts"), [
    ("x = 5", ["x", "5"]), ("2+3=5=5", ["2+3", "5", "5"]), ("x=3, y=4", ["x=3, y=4"]),
    ("f(x=2)", ["f(x=2)"]), (r"x \le 5", [r"x \le 5"]), ("x<=5", ["x<=5"]), ("x==5", ["x==5"]),
    (r"\sqrt2 \approx 1.41", [r"\sqrt2"]), (r"x \approx 1.41", ["x", "1.41"]), ("=5", ["=5"]),
    (r"\approx 8", ["8"]), ("5! = 120", ["5!", "120"]), ("", [""]),
])
def test_sides(text: str, parts: list[str]) -> None:
    assert sides(text) == parts


@pytest.mark.parametrize(("text", "expected"), [
    ("x", True), ("f(3)", True), ("S_n", True), ("x_{12}", True), (r"\text{Area}", True),
    (r"\angle ABC", True), ("f'(x)", True), ("2x", False), ("x+y", False), ("5", False),
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
