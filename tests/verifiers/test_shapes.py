"""The outline of answers of several parts, and inequalities as intervals."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import pytest

from cropi.verifiers.normalise import canonical
from cropi.verifiers.numbers import Oversize
from cropi.verifiers.relations import fewest_intervals, inequality, region
from cropi.verifiers.shapes import Shape, enclosed, shape_of, split


def outline(shape: Shape) -> object:
    if shape.kind == "value":
        return shape.text
    return (shape.kind + shape.brackets, *map(outline, shape.parts))


@pytest.mark.parametrize(("text", "expected"), [
    (r"\{1,2\}", ("set", "1", "2")), ("(1,2)", ("ordered()", "1", "2")),
    ("[1,2)", ("ordered[)", "1", "2")), ("1,2", ("list", "1", "2")), ("1;2", ("list", "1", "2")),
    ("(1,2),(3,4)", ("list", ("ordered()", "1", "2"), ("ordered()", "3", "4"))),
    ("(1)", "(1)"), ("((x))", "x"), ("x", "x"), (r"\frac{1}{2}", r"\frac{1}{2}"), (")(", ")("),
    ("f(x,y)", "f(x,y)"), (r"(\frac{1}{2},3]", ("ordered(]", r"\frac{1}{2}", "3")), ("", ""),
    ("1,234", "1,234"), ("1, 234", ("list", "1", "234")),
    ("(1,2,3", "(1,2,3"), (r"2 \pm 3", ("list", "2  +  3", "2  -  3")),
    (r"\pm 1, 5", ("list", "+  1", "-  1", "5")), (r"\emptyset", ("set",)), (r"\{\}", ("set",)),
    ("1 and 2", ("list", "1", "2")), (r"1\text{ or }2", ("list", "1", "2")),
    ("Ferdinand", "Ferdinand"), (r"\langle 1,2\rangle", ("ordered\\langle\\rangle", "1", "2")),
    (r"(-1,2)\cup[3,4]", ("union", ("ordered()", "-1", "2"), ("ordered[]", "3", "4"))),
    (r"(0,1)\cup\{2\}", ("union", ("ordered()", "0", "1"), ("ordered[]", "2", "2"))),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
     ("matrix", ("ordered", "1", "2"), ("ordered", "3", "4"))),
    (r"\begin{bmatrix}1\\2\\\end{bmatrix}", ("matrix", ("ordered", "1"), ("ordered", "2"))),
])
def test_outline(text: str, expected: object) -> None:
    assert outline(shape_of(text)) == expected


def test_pieces_stay_whole_within_brackets() -> None:
    assert split("a,(b,c),{d,e}", (",",)) == ["a", "(b,c)", "{d,e}"]
    assert split(r"[1,2) and (3,4)", (",",), joined=True) == ["[1,2)", "(3,4)"]
    assert split("(x and y)", (",",), joined=True) == ["(x and y)"]
    assert enclosed("(1)(2)") == ("", "")
    assert enclosed("{1)") == ("", "")


def test_too_many_parts_are_refused() -> None:
    with pytest.raises(Oversize):
        shape_of(",".join("1" * 400))
    with pytest.raises(Oversize):
        shape_of("(1," * 50 + ")" * 50)


@pytest.mark.parametrize(("text", "letter", "intervals"), [
    ("x > 2", "x", [r"(2,\infty)"]), ("2 < x", "x", [r"(2,\infty)"]), ("x>=2", "x",
    [r"[2,\infty)"]),
    ("3<x<=8", "x", ["(3,8]"]), ("8>=x>3", "x", ["(3,8]"]), ("x<5", "x", [r"(-\infty,5)"]),
    ("x!=3", "", None), (r"x \ne 3", "x", [r"(-\infty,3)", r"(3,\infty)"]),
    ("x<1 or x>2", "x", [r"(-\infty,1)", r"(2,\infty)"]), ("x>1 and x<2", "x", ["(1,2)"]),
    (r"x \in [1,4)", "x", ["[1,4)"]), (r"\{x \mid x > 2\}", "x", [r"(2,\infty)"]),
    (r"\{x \in \mathbb{R} : 1 < x < 2\}", "x", ["(1,2)"]), (r"|x|<3", "x", ["(-(3),+(3))"]),
    (r"\mathbb{R}", "", [r"(-\infty,\infty)"]), ("x<1 or y>2", "", None), ("x+y>1", "", None),
    ("x=3", "", None), ("1<x>2", "", None), ("5", "", None),
])
def test_regions(text: str, letter: str, intervals: list[str] | None) -> None:
    found = region(canonical(text))
    if intervals is None:
        assert found is None
    else:
        assert found is not None
        assert (found.letter, [part.text for part in found.parts]) == (letter, intervals)


def test_intervals_are_joined_where_they_meet() -> None:
    def joined(text: str) -> object:
        return fewest_intervals(shape_of(text).parts)

    assert joined(r"[1,2]\cup[2,3]") == [(1, True, 3, True)]
    assert joined(r"(1,2)\cup(2,3)") == [(1, False, 2, False), (2, False, 3, False)]
    assert joined(r"(1,2)\cup[2,3)") == [(1, False, 3, False)]
    assert joined(r"(2,\infty)\cup(-\infty,\frac{1}{2}]") == [
        (-inf, False, Fraction(1, 2), True), (2, False, inf, False)
    ]
    assert joined(r"(1,5)\cup[2,3]") == [(1, False, 5, False)]
    assert joined(r"(1,\pi)\cup(2,3)") is None


def test_inequalities_point_one_way() -> None:
    assert inequality("x+y>1") == ("1", "x+y", True)
    assert inequality(r"2x\le 3") == ("2x", "3", False)
    assert inequality("1<x<2") is None
