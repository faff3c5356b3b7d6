r"""Golds from the forms data sets store them in."""

from __future__ import annotations

from typing import Any

import pytest

from cropi.benchmarks.golds import GoldFormat, UnusableGold, golds_of, is_corrupt


@pytest.mark.parametrize(
    ("value", "form", "golds"),
    [
        ("72", "plain", ("72",)),
        # As they are written: AIME24 pads with zeros, AMC23 writes floats (data matrix).
        ("025", "plain", ("025",)),
        ("27.0", "plain", ("27.0",)),
        (27.0, "plain", ("27.0",)),
        (39, "plain", ("39",)),
        (" \\frac{1}{2} ", "plain", ("\\frac{1}{2}",)),
        ("so 5.\n#### 1,234", "gsm8k", ("1234",)),
        ("#### 1\n#### -2,000,000.50", "gsm8k", ("-2000000.50",)),
        ("#### 3,45", "gsm8k", ("3,45",)),  # not a thousands mark
        (r"\boxed{1} then \boxed{\frac{a}{b}}.", "boxed", (r"\frac{a}{b}",)),
        (["$69$", "$84$"], "list", ("$69$, $84$",)),
        (["2"], "list", ("2",)),
        ('["2", 3.50]', "list", ("2, 3.50",)),
        ("[0,1)", "list", ("[0,1)",)),
        (["1/2", "0.5", "1/2", None], "any_of", ("1/2", "0.5")),
        ("7", "any_of", ("7",)),
    ],
)
def test_gold_formats(value: Any, form: GoldFormat, golds: tuple[str, ...]) -> None:
    assert golds_of(value, form) == golds


@pytest.mark.parametrize(
    ("value", "form", "reason"),
    [
        (None, "plain", "empty gold"),  # two of MATH-train's rows hold null, two an empty text
        ("  ", "plain", "empty gold"),
        ([], "list", "empty gold"),
        ([""], "any_of", "empty gold"),
        ("####  ", "gsm8k", "empty gold"),
        ("no mark", "gsm8k", "no #### in answer"),
        ("no box", "boxed", "no \\boxed in answer"),
        (r"cut short \boxed{1", "boxed", "no \\boxed in answer"),
        ("$145$solution:", "plain", "corrupt gold"),  # a row of Gaokao2023en
        (r"\frac{1}{2", "plain", "corrupt gold"),
        ("proof", "plain", "corrupt gold"),
    ],
)
def test_unusable_golds_say_why(value: Any, form: GoldFormat, reason: str) -> None:
    with pytest.raises(UnusableGold, match=f"^{reason.replace(chr(92), chr(92) * 2)}$"):
        golds_of(value, form)


@pytest.mark.parametrize("value", [True, {"a": 1}, ["2"]])
def test_a_value_that_does_not_fit_is_a_mistake_of_the_configuration(value: Any) -> None:
    with pytest.raises(TypeError):
        golds_of(value, "plain")


@pytest.mark.parametrize("gold", [r"\{1, 2\}", "[0, 1)", "$x$.", "$5", r"\left\{ 1 \right.", "-"])
def test_odd_but_usable_golds_are_kept(gold: str) -> None:
    # OlympiadBench has trailing full stops and stray dollar signs; a verifier can read them.
    assert not is_corrupt(gold)


def test_braces_in_the_wrong_order_are_corrupt() -> None:
    assert is_corrupt("}1{")
