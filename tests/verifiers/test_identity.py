"""Reading expressions and deciding whether two are the same, against sympy and by hand."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
import sympy

from cropi.verifiers.balls import separation_bits, smaller_than_bits, value_of
from cropi.verifiers.identity import defined, identical, proportion
from cropi.verifiers.numbers import Oversize
from cropi.verifiers.rational import NotRational, Undefined, evaluate, exact
from cropi.verifiers.syntax import NotUnderstood, parse, understood
from cropi.verifiers.tree import minus


@pytest.mark.parametrize(("text", "meaning"), [
    ("2+3*4", "2+3*4"), ("-x^2", "-(x**2)"), ("2^3^2", "2**9"), ("2^{10}", "1024"), ("2^10",
    "1024"),
    ("x^-1", "1/x"), ("7^1/2", "Rational(7,2)"), (r"7^{1/2}", "sqrt(7)"), ("3xy", "3*x*y"),
    ("2(x+1)(x-1)", "2*(x**2-1)"), ("x(x+1)", "x*(x+1)"), ("1/2/2", "Rational(1,4)"),
    (r"\frac{1}{2}x", "x/2"), (r"3\frac{2}{5}", "Rational(17,5)"), (r"3\frac{x}{5}", "3*x/5"),
    (r"\sqrt{x}", "sqrt(x)"), (r"\sqrt[3]{8}", "2"), (r"\sin 2x", "sin(2*x)"),
    (r"\sin^2 x", "sin(x)**2"), (r"\sin^{-1} x", "asin(x)"), (r"\sin x \cos x", "sin(x)*cos(x)"),
    (r"\sin(x)y", "y*sin(x)"), (r"\sin x^2", "sin(x**2)"), (r"\log_2 x", "log(x)/log(2)"),
    (r"\log_28", "3"), (r"\log_{10} x", "log(x)/log(10)"), (r"\log x", "log(x)/log(10)"),
    (r"\ln x^2", "log(x**2)"), (r"e^{2x}", "exp(2*x)"), (r"\exp(x)", "exp(x)"), ("n!",
    "factorial(n)"),
    ("5!!", "15"), (r"\binom{5}{2}", "10"), (r"\binom{n}{2}", "n*(n-1)/2"), ("|x-1|", "Abs(x-1)"),
    ("2|x|y", "2*y*Abs(x)"), (r"\lfloor 7/2 \rfloor", "3"), (r"\lceil 7/2 \rceil", "4"),
    ("2i", "2*I"), (r"\sin 30^\circ", "Rational(1,2)"), (r"\cos\frac{\pi}{3}", "Rational(1,2)"),
    (r"\tan(45^\circ)", "1"), ("--8", "8"), ("-(-8)", "8"), (r"\gcd(12,18)", "6"),
    (r"\max(2,7)", "7"), (r"x\cdot-3", "-3*x"), (r"\frac{a}{b}\div c", "a/(b*c)"), ("(2)3", "6"),
    (r"\tan^2 x", "tan(x)**2"), (r"2^{-\frac{1}{2}}", "1/sqrt(2)"), (r"\arctan x", "atan(x)"),
])
def test_what_is_read(text: str, meaning: str) -> None:
    names = {name: sympy.Symbol(name, positive=True) for name in "abcnxy"}
    right = sympy.sympify(meaning, locals=names)
    at = {name: Fraction(3 + place, 7) for place, name in enumerate(names)}
    expected = right.subs({names[k]: sympy.Rational(v.numerator, v.denominator)
                           for k, v in at.items()}).evalf(40)
    try:
        found = complex(exact(parse(text), at))
    except NotRational:
        ball = value_of(parse(text), at).ball
        found = complex(float(ball.real.mid()), float(ball.imag.mid()))
    assert found == pytest.approx(complex(expected), rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("text", [
    "", "2 3", "x/2y", r"1/2\pi", "2x3", r"\int x", "(1", "1)", "|x", r"5\frac{7}{2}", "x+", "^2",
    r"\text{cm}", "12_3", r"\sqrt", "3!!!", r"\foo", "{}", r"\log_", "a_", r"\cot^{-1} x", "#",
    "__",
    r"\max(1", "1,2", "x=2", "{1" * 60, "(" * 60 + ")" * 60, "x" * 900, "^".join("x" * 70),
    "/".join("x" * 70), "-".join(["x"] * 500),
])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstood):
        parse(text)


def test_names_are_not_products() -> None:
    assert not identical(parse("AB"), parse("BA"))
    assert identical(parse("ab"), parse("ba"))
    assert not identical(parse("x_1"), parse("x_2"))
    assert not identical(parse("f(x)"), parse("f(y)"))
    assert identical(parse("2f(x)"), parse("f(x)+f(x)"))
    assert not identical(parse(r"\triangle ABC"), parse("ABC"))


SAME = [
    (r"5\sqrt{3}", r"\sqrt{75}"), (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"),
    (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5+2\sqrt{6}}"), (r"\sqrt[3]{-8}", "-2"), ("(-8)^{1/3}", "-2"),
    (r"\sqrt[3]{2+\sqrt{5}}+\sqrt[3]{2-\sqrt{5}}", "1"), (r"\cos 36^\circ",
    r"\frac{1+\sqrt{5}}{4}"),
    (r"\frac{1}{1+i}", r"\frac{1-i}{2}"), (r"e^{i\pi}", "-1"), (r"\sqrt{-4}", "2i"),
    (r"\log_2 8", "3"), (r"\ln 4", r"2\ln 2"), ("x^2-9", "(x-3)(x+3)"), ("(n+1)!", "(n+1)n!"),
    (r"\tan x", r"\frac{\sin x}{\cos x}"), ("2^{n+1}", r"2\cdot 2^n"), ("x", r"\sqrt{x^2}"),
    (r"\sqrt{\frac{1}{m}}", r"\frac{1}{\sqrt{m}}"), (r"\ln(x-5)+\ln(x-6)", r"\ln((x-5)(x-6))"),
    ("(-1)^{n+2}", "(-1)^n"), ("(-1)^{2n}", "1"), (r"\sqrt{1-x^2}", r"\sqrt{(1-x)(1+x)}"),
    (r"\frac{\sqrt{2}}{10^{70}}", r"\frac{2}{\sqrt{2}\cdot 10^{70}}"), (r"\infty", r"+\infty"),
    (r"e^{i\theta}", r"\cos\theta+i\sin\theta"), (r"\lfloor \pi \rfloor", "3"), ("x-x", "0"),
]
DIFFERENT = [
    (r"\frac{1}{2^{60}}", r"\frac{1}{2^{61}}"), (r"\frac{\sqrt{2}}{10^{70}}",
    r"\frac{2\sqrt{2}}{10^{70}}"),
    ("|x|", "x"), ("|a+b|", "|a|+|b|"), ("x^2+1", "y^2+1"), (r"e^{\pi\sqrt{163}}",
    "262537412640768744"),
    (r"\pi+10^{-200}", r"\pi"), (r"\sqrt{10^{100}+1}-10^{50}", r"\frac{1}{2\cdot10^{50}}"),
    (r"\log x", r"\ln x"), ("(x+y+z+1)^{30}", "(x+y+z+2)^{30}"), (r"\infty", r"-\infty"),
    (r"\infty", "10^{100}"), ("(-1)^n", "(-1)^{n+1}"), ("i", "-i"), (r"\sqrt{a+b}",
    r"\sqrt{a}+\sqrt{b}"),
    (r"\ln 6", r"\ln2\ln3"), (r"\sqrt{2}", "1.41421356237309504880168872420969807857"),
    ("x", "x+10^{-300}"), (r"\max(2,3)", "2"), ("(x+y)^2", "x^2+y^2"), ("n!", "n!!"),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), SAME)
def test_the_same(left: str, right: str) -> None:
    assert identical(parse(left), parse(right)) is True
    assert identical(parse(right), parse(left)) is True


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_not_the_same(left: str, right: str) -> None:
    assert not identical(parse(left), parse(right))
    assert not identical(parse(right), parse(left))


@pytest.mark.parametrize("text", [
    "5^{5^{5^5}}", "(10^9)!", "x^{10^{10}}", r"\sin(10^{10^{10}})", r"\binom{10^9}{10^8}",
    "2000!^{99}",
    "(x+1)^{50000}", r"e^{10^9}", r"\sqrt{2}^{10^6}", r"\cos(2^{9999})", "(3000)!!",
])
def test_the_enormous_is_refused(text: str) -> None:
    with pytest.raises(Oversize):
        identical(parse(text), parse("1"))


def test_what_has_no_value() -> None:
    for text in (r"\frac{0}{0}", r"\frac{1}{0}", r"\ln 0", "0^{-1}", r"\frac{1}{\sqrt{2}-\sqrt{2}}",
                 r"\tan 90^\circ"):
        with pytest.raises(Undefined):
            identical(parse(text), parse("1"))
        assert defined(parse(text)) is False
    assert defined(parse("x")) is True
    assert identical(parse(r"\frac{1}{x-x}"), parse("1")) is None


def test_multiples() -> None:
    two = proportion(parse("2x-2y"), parse("x-y"))
    assert two == 2
    assert proportion(parse("y-x"), parse("x-y")) == -1
    assert proportion(parse("x-y"), parse("x+y")) is None
    assert proportion(parse("x"), parse("0")) is None


def test_random_roots_agree_with_their_minimal_polynomials() -> None:
    # sympy's exact answer to "is it zero" beside ours, on differences that may be tiny.
    generator = random.Random(0)
    seen = {True: 0, False: 0}
    for _ in range(60):
        a, b = generator.randint(2, 12), generator.randint(2, 12)
        left = sympy.expand((sympy.sqrt(a) + sympy.sqrt(b)) ** 2)
        shift = generator.choice([0, 0, sympy.Rational(1, 10**generator.randint(5, 60))])
        square = (a + b) ** 2 + 4 * a * b + 4 * (a + b) * sympy.sqrt(a * b)
        right = sympy.sqrt(square) + shift
        expected = sympy.minimal_polynomial(left - right, sympy.Symbol("t")) == sympy.Symbol("t")
        texts = [sympy.latex(side, fold_frac_powers=False) for side in (left, right)]
        assert identical(*map(parse, texts)) is expected, texts
        seen[expected] += 1
    assert min(seen.values()) > 10


def test_the_separation_bound_holds() -> None:
    # √(n²+1) − n is about 1/2n: no bound may exceed it.
    for n in (3, 10**5, 10**20, 10**80):
        node = parse(rf"\sqrt{{{n * n + 1}}}-{n}")
        bits = separation_bits(node)
        assert bits is not None
        assert bits >= math.log2(2 * n)
        assert smaller_than_bits(value_of(node, {}).ball) <= bits
    assert separation_bits(parse(r"\pi")) is None
    assert separation_bits(minus(parse(r"\sqrt{2}"), parse(r"\sqrt{2}"))) is not None


def test_exact_values() -> None:
    assert exact(parse(r"\frac{x+1}{2}"), {"x": Fraction(3)}) == 2
    assert evaluate(r"\sqrt{16}") == 4
    assert evaluate(r"\sqrt{\frac{4}{9}}") == Fraction(2, 3)
    assert evaluate(r"8^{2/3}") == 4
    assert evaluate(r"\sqrt{2}") is None
    assert evaluate("(" * 300 + "7" + ")" * 300) == 7
    assert understood("x+") is None
