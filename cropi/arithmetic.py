"""The built-in testbed's task: chains of one-digit arithmetic modulo 10, with misconceptions.

A prompt is ``<operator>d0 d1 … dL=`` written without spaces, such as ``@352=``; the response is
the L running results, one digit each (a chain of thought), and the gold is the last of them.
Every operator has one right rule and up to two wrong ones. The supervised text applies the right
rule at each step only with probability ``reliability``, so a warm-started policy mixes the rules
and reinforcement learning has to find the right one.

The hash of a prompt decides which partition it belongs to, so the supervised text, the pool, the
validation sets and the test sets never share a prompt and no list of held-out prompts has to be
passed around. Chains of length 1 are the exception: an operator has only 100 of them, so the
supervised text may use them all, while pool, validation and tests still divide them up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cropi.runtime.seeds import derive, stream

Rule = Callable[[int, int], int]
Partition = Literal["supervised", "pool", "validation", "test"]
DesignName = Literal["curriculum", "aligned"]
IMPOSSIBLE = "?"  # its gold is a hash of the prompt: nothing to learn, 1 in 10 by luck


@dataclass(frozen=True)
class Operator:
    """One right rule and the misconceptions about it (none: solved; no rule at all: impossible)."""

    right: Rule | None
    wrong: tuple[Rule, ...] = ()


OPERATORS: dict[str, Operator] = {
    "@": Operator(lambda a, b: 2 * a + b, (lambda a, b: a + 2 * b, lambda a, b: a + b)),
    "%": Operator(lambda a, b: a + 3 * b, (lambda a, b: 3 * a + b, lambda a, b: a * b + 3)),
    "^": Operator(lambda a, b: a * b + 1, (lambda a, b: a * b, lambda a, b: a + b + 1)),
    "!": Operator(lambda a, b: a - 2 * b, (lambda a, b: b - 2 * a, lambda a, b: 2 * a - b)),
    "&": Operator(lambda a, b: abs(a - b), (lambda a, b: a - b, max)),
    "~": Operator(lambda a, b: 3 * a + 2 * b, (lambda a, b: 2 * a + 3 * b, lambda a, b: b - a)),
    "+": Operator(lambda a, b: a + b),
    "-": Operator(lambda a, b: a - b),
    "*": Operator(lambda a, b: a * b),
    IMPOSSIBLE: Operator(None),
}
ALPHABET = "0123456789=" + "".join(OPERATORS)  # every character of prompts and responses


@dataclass(frozen=True)
class Family:
    """An operator's part in a design: what it stands for, how well it is known, how much of it.

    ``reliability`` is the chance that a step of the supervised text is right, ``levels`` the chain
    lengths, ``share`` the percentage of the training pool.
    """

    role: str
    reliability: float
    levels: tuple[int, ...]
    share: int


DESIGNS: dict[str, dict[str, Family]] = {
    # Two operators a target, one easy and one hard: what helps changes while the policy learns.
    "curriculum": {
        "@": Family("target_A", 0.75, (2, 3, 4), 5),
        "%": Family("target_A", 0.45, (1, 2, 3), 5),
        "^": Family("target_B", 0.75, (2, 3, 4), 5),
        "!": Family("target_B", 0.45, (1, 2, 3), 5),
        "&": Family("off_target", 0.55, (2, 3, 4), 18),
        "~": Family("off_target", 0.50, (1, 2, 3, 4), 18),
        "+": Family("solved", 1.0, (1, 2, 3, 4), 10),
        "-": Family("solved", 1.0, (1, 2, 3, 4), 9),
        "*": Family("solved", 1.0, (1, 2, 3, 4), 9),
        IMPOSSIBLE: Family("impossible", 0.0, (2, 3, 4), 10),
    },
    # One skill a target: a quick positive control, which one selection already solves.
    "aligned": {
        "@": Family("target_A", 0.6, (2, 3, 4), 8),
        "%": Family("off_target", 0.6, (1, 2, 3), 12),
        "^": Family("target_B", 0.6, (2, 3, 4), 8),
        "!": Family("off_target", 0.6, (1, 2, 3), 12),
        "&": Family("off_target", 0.6, (2, 3, 4), 12),
        "+": Family("solved", 1.0, (1, 2, 3, 4), 10),
        "-": Family("solved", 1.0, (1, 2, 3, 4), 10),
        "*": Family("solved", 1.0, (1, 2, 3, 4), 10),
        IMPOSSIBLE: Family("impossible", 0.0, (2, 3, 4), 12),
    },
}
MISLABELLED_SHARE = 6  # per cent of the pool, in both designs, on prompts of MISLABELLED_OPERATORS
MISLABELLED_OPERATORS = ("@", "%", "^", "!")


def prompt_text(symbol: str, digits: Sequence[int]) -> str:
    """``prompt_text("@", (3, 5, 2))`` is ``"@352="``."""
    return symbol + "".join(map(str, digits)) + "="


def chain(rule: Rule, digits: Sequence[int]) -> list[int]:
    """The L running results (0 to 9) of ``rule`` over digits d0 … dL, from left to right."""
    results: list[int] = []
    value = digits[0]
    for digit in digits[1:]:
        value = rule(value, digit) % 10
        results.append(value)
    return results


def right_answer(symbol: str, digits: Sequence[int]) -> int:
    """The gold of a prompt; for the impossible operator a hash of the prompt."""
    right = OPERATORS[symbol].right
    if right is None:
        return derive(0, "arithmetic gold", prompt_text(symbol, digits)) % 10
    return chain(right, digits)[-1]


def partition(symbol: str, digits: Sequence[int]) -> Partition:
    """Where a prompt belongs, by its hash; the same for every seed, so a warm start serves all.

    Of 100 prompts 55 are for the supervised text, 25 for the pool, 6 for validation and 14 for
    tests; chains of length 1 are shared out as 60, 12 and 28, none of them to the supervised text.
    """
    bucket = derive(0, "arithmetic partition", prompt_text(symbol, digits)) % 100
    if len(digits) == 2:
        return "pool" if bucket < 60 else "validation" if bucket < 72 else "test"
    if bucket < 55:
        return "supervised"
    return "pool" if bucket < 80 else "validation" if bucket < 86 else "test"


def supervised_examples(
    n: int, seed: int, design: DesignName = "curriculum"
) -> list[tuple[str, str]]:
    """``n`` pairs (prompt, response) for a warm start, such as ``("@352=", "13")``.

    Operators and chain lengths of the design are drawn uniformly. Each step is right with
    probability ``reliability``, otherwise one of the operator's wrong rules, evenly; the
    impossible operator's responses are random digits. Repeats are possible. No prompt longer
    than one step is one of the pool, a validation or a test set, whatever their seeds.
    """
    random = stream(seed, "arithmetic supervised", design)
    families = list(DESIGNS[design].items())
    examples: list[tuple[str, str]] = []
    for _ in range(n):
        symbol, family = families[random.integers(len(families))]
        level = family.levels[random.integers(len(family.levels))]
        digits: list[int] = random.integers(10, size=level + 1).tolist()
        while level > 1 and partition(symbol, digits) != "supervised":
            digits = random.integers(10, size=level + 1).tolist()
        operator = OPERATORS[symbol]
        value, response = digits[0], ""
        for digit, luck in zip(digits[1:], random.random(level), strict=True):
            if operator.right is None:
                value = int(luck * 10)
            elif luck < family.reliability:
                value = operator.right(value, digit) % 10
            else:
                rest = (luck - family.reliability) / (1.0 - family.reliability)
                value = operator.wrong[int(rest * len(operator.wrong))](value, digit) % 10
            response += str(value)
        examples.append((prompt_text(symbol, digits), response))
    return examples
