"""Choices of reading that mathematics leaves open, each with a name and a default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cropi.verifiers.numbers import Percent

Units = Literal["dropped", "compared"]
Degrees = Literal["number", "angle"]
Ratios = Literal["quotient", "text"]
Vectors = Literal["tuples", "apart"]
Lists = Literal["flexible", "strict"]
Equations = Literal["value", "whole"]
Bases = Literal["if_both", "always"]
Case = Literal["ignored", "exact"]
Choices = Literal["with_text", "letter"]
Approximations = Literal["exact_part", "refused"]
Fractions = Literal["any", "reduced"]
Boxes = Literal["parts", "last"]  # of the extraction, not of the comparison


@dataclass(frozen=True, slots=True)
class Conventions:
    """What two texts may differ in and still be one answer. docs/verifiers.md has the table."""

    percent: Percent = "unit"
    units: Units = "dropped"
    degrees: Degrees = "number"
    ratios: Ratios = "quotient"
    vectors: Vectors = "tuples"
    lists: Lists = "flexible"
    equations: Equations = "value"
    bases: Bases = "if_both"
    case: Case = "ignored"
    choices: Choices = "with_text"
    approximations: Approximations = "exact_part"
    fractions: Fractions = "any"
    decimal_comma: bool = False
