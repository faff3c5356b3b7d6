r"""Computer algebra on two answers, by math-verify. Runs inside a worker process only.

math-verify gets both answers in ``\boxed``, in LaTeX form only (its other parsers evaluate text as
code), and with decimals turned into fractions, so that nothing is rounded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_DECIMAL = re.compile(r"(?<![\w.])(\d*)\.(\d+)(?![\d.])(\s*[\^!])?")
_ANGLE = re.compile(r"(\\(?:sin|cos|tan|cot|sec|csc)\s*\(?\s*)(\d+)\s*\^\s*\\circ")
_DIGITS_COMPARED = 60
# Pairs that between them make sympy load what a first comparison would otherwise wait for.
_WARMING = (
    ("x+1", r"\frac{y}{2}"), (r"\sqrt{ab}", r"\sqrt{a}\sqrt{b}"), ("x>5", r"(5,\infty)"),
    ("x=5", "5=x"), (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"),
)
_NOTHING = 1e-90


def prepare() -> None:
    """Load math-verify and let its parser build its first tables."""
    # The same arithmetic everywhere: sympy would take what it finds installed.
    os.environ["SYMPY_GROUND_TYPES"] = "python"
    for gold, answer in _WARMING:
        equivalent({"gold": gold, "answer": answer, "seconds": 60})


def equivalent(job: Mapping[str, Any]) -> dict[str, Any]:
    """``{"equal": bool, "status": "ok" | "unparsed" | "bad_gold"}`` for canonical texts.

    ``job`` holds ``gold``, ``answer`` and ``seconds`` (whole, for math-verify's own alarms, which
    are valid here: this is a process's main thread). Equality is tried in both orders.
    """
    gold = _parsed(job["gold"], job["seconds"])
    if gold is None:
        return {"equal": False, "status": "bad_gold"}
    answer = _parsed(job["answer"], job["seconds"])
    if answer is None:
        return {"equal": False, "status": "unparsed"}
    return {"equal": _equal(gold, answer, job["seconds"]), "status": "ok"}


@lru_cache(maxsize=512)
def _parsed(text: str, seconds: int) -> Any:
    """A sympy object, or None when math-verify reads none or it is undefined (1/0)."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    # Units are ours to strip: math-verify takes the c of 7c for one.
    config = LatexExtractionConfig(
        boxed_match_priority=0,
        normalization_config=NormalizationConfig(
            basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="last"
        ),
    )
    found = parse(
        rf"\boxed{{{_spelled_out(text)}}}",
        extraction_config=[config],
        fallback_mode="no_fallback",
        extraction_mode="first_match",
        parsing_timeout=seconds,
        raise_on_error=True,
    )
    return found[0] if found and not _undefined(found[0]) else None


def _spelled_out(text: str) -> str:
    r"""Decimals as fractions, degrees in radians where a function takes them, else dropped."""
    text = _ANGLE.sub(r"\1(\\frac{\2\\pi}{180})", text).replace(r"^\circ", "")

    def fraction(match: re.Match[str]) -> str:
        whole, decimals, raised = match.groups()
        value = rf"\frac{{{int(whole + decimals)}}}{{{10 ** len(decimals)}}}"
        return rf"({value}){raised}" if raised else value

    return _DECIMAL.sub(fraction, text)


def _undefined(value: Any) -> bool:
    from sympy import nan, zoo

    return bool(value.has(nan, zoo))


def _equal(gold: Any, answer: Any, seconds: int) -> bool:
    from math_verify import verify

    options = {
        "float_rounding": _DIGITS_COMPARED, "numeric_precision": _DIGITS_COMPARED,
        "allow_set_relation_comp": True, "timeout_seconds": seconds,
    }
    gold, answer = _imaginary(gold, answer)
    if _differ_in_value(gold, answer):
        return False
    return (
        verify(gold, answer, **options)
        or verify(answer, gold, **options)
        or _equal_for_positive_symbols(gold, answer)
    )


def _imaginary(gold: Any, answer: Any) -> tuple[Any, Any]:
    r"""The letter i as the imaginary unit where no other letter occurs: ``\sqrt{-1}`` and ``i``."""
    from sympy import Expr, I

    if not (isinstance(gold, Expr) and isinstance(answer, Expr)):
        return gold, answer
    letters = gold.free_symbols | answer.free_symbols
    if {letter.name for letter in letters} != {"i"}:
        return gold, answer
    unit = dict.fromkeys(letters, I)
    return gold.subs(unit).doit(), answer.subs(unit).doit()


def _differ_in_value(gold: Any, answer: Any) -> bool:
    """Whether two expressions differ at a fixed point, to a relative 1e-20.

    Settles most wrong answers without ``simplify``, and keeps tiny numbers apart. Values under
    1e-90 settle nothing: they may be what rounding left of zero.
    """
    from sympy import Expr, Rational

    if not (isinstance(gold, Expr) and isinstance(answer, Expr)):
        return False
    letters = sorted(gold.free_symbols | answer.free_symbols, key=str)
    point = {letter: Rational(1009 + 97 * i, 613) for i, letter in enumerate(letters)}
    left, right = (side.subs(point).doit().evalf(30) for side in (gold, answer))
    sizes = [abs(value).evalf(30) for value in (left, right, left - right)]
    if not all(size.is_Number and size.is_finite for size in sizes):
        return False
    largest, difference = max(sizes[:2]), sizes[2]
    return bool(largest > _NOTHING and difference > largest * 1e-20)


def _equal_for_positive_symbols(gold: Any, answer: Any) -> bool:
    r"""Roots and logarithms of letters, read as positive: ``\sqrt{1/m}`` and ``1/\sqrt m``."""
    from sympy import Abs, Expr, Pow, Symbol, log, simplify

    def is_root(part: Any) -> bool:
        letters = bool(part.free_symbols)
        return letters and (isinstance(part, log) or (
            isinstance(part, Pow) and part.exp.is_Rational and not part.exp.is_Integer
        ))

    sides = (gold, answer)
    if not all(isinstance(side, Expr) and not side.has(Abs) for side in sides):
        return False
    if not any(side.find(is_root) for side in sides):
        return False
    letters = gold.free_symbols | answer.free_symbols
    positive = {letter: Symbol(letter.name, positive=True) for letter in letters}
    return simplify((gold - answer).subs(positive).doit()) == 0
