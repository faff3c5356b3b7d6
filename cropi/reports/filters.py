"""Choosing and grouping runs by their configuration: ``selector.alpha>=0.1``, ``seed!=3``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cropi.reports.runs import Run
from cropi.runtime.errors import CropiError, did_you_mean

_EXPRESSION = re.compile(r"(?P<key>[\w./@]+)\s*(?P<sign>>=|<=|!=|==|=|>|<)\s*(?P<value>.*)")
_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, "<": lambda a, b: a < b,
}  # fmt: skip


def chosen(runs: Sequence[Run], expressions: Sequence[str]) -> list[Run]:
    """The runs for which all expressions hold.

    ``key=a,b`` is any of them, ``!=`` none of them; ``< <= > >=`` compare numbers. Raises
    CropiError for what is no expression and for keys that no run has.
    """
    known = {name for run in runs for name in run.keys} if expressions else set()
    for expression in expressions:
        key, _, _ = _read(expression)
        if runs and key not in known:
            raise CropiError(f"--where {expression}: no run has {key}{did_you_mean(key, known)}")
    return [run for run in runs if all(holds(run, expression) for expression in expressions)]


def holds(run: Run, expression: str) -> bool:
    """Whether the expression is true of the run. Raises CropiError for what is none."""
    key, sign, value = _read(expression)
    return _holds(run.keys.get(key), sign, value, expression)


def _read(expression: str) -> tuple[str, str, str]:
    match = _EXPRESSION.fullmatch(expression.strip())
    if match is None:
        raise CropiError(
            f"--where {expression}: write KEY=VALUE, such as selector.alpha>=0.1 or selector=cropi"
        )
    return match["key"], match["sign"], match["value"].strip()


def _holds(found: Any, sign: str, value: str, expression: str) -> bool:
    if sign in _ORDER:
        try:
            bound = float(value)
        except ValueError as error:
            raise CropiError(f"--where {expression}: {value!r} is no number") from error
        return isinstance(found, int | float) and _ORDER[sign](float(found), bound)
    same = any(_equal(found, text.strip()) for text in value.split(","))
    return not same if sign == "!=" else same


def _equal(found: Any, text: str) -> bool:
    """``0.1`` is 0.10, and ``null`` None."""
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            return float(found) == float(text)
        except ValueError:
            return False
    plain = {None: "null", True: "true", False: "false"}
    return str(plain.get(found, found) if not isinstance(found, list) else found) == text
