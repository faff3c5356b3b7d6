"""The testbed's task definition, against tables worked out by hand and counts over all strings."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import product

import pytest

from cropi.arithmetic import (
    ALPHABET,
    DESIGNS,
    IMPOSSIBLE,
    MISLABELLED_SHARE,
    OPERATORS,
    chain,
    partition,
    prompt_text,
    right_answer,
    supervised_examples,
)

# By hand, from the rules' names: operator -> (right, wrong, wrong) of 7 and 4 modulo 10.
SEVEN_AND_FOUR = {
    "@": (8, 5, 1),  # 2a+b; a+2b, a+b
    "%": (9, 5, 1),  # a+3b; 3a+b, ab+3
    "^": (9, 8, 2),  # ab+1; ab, a+b+1
    "!": (9, 0, 0),  # a-2b; b-2a, 2a-b
    "&": (3, 3, 7),  # |a-b|; a-b, max
    "~": (9, 6, 7),  # 3a+2b; 2a+3b, b-a
    "+": (1,),
    "-": (3,),
    "*": (8,),
}


@pytest.mark.parametrize("symbol", SEVEN_AND_FOUR)
def test_rules_of_each_operator(symbol: str) -> None:
    operator = OPERATORS[symbol]
    assert operator.right is not None
    rules = (operator.right, *operator.wrong)
    assert tuple(rule(7, 4) % 10 for rule in rules) == SEVEN_AND_FOUR[symbol]


def test_chain_gives_the_running_results() -> None:
    # 2*3+5 = 11 -> 1, 2*1+2 = 4, 2*4+9 = 17 -> 7
    assert chain(lambda a, b: 2 * a + b, (3, 5, 2, 9)) == [1, 4, 7]
    assert right_answer("@", (3, 5, 2, 9)) == 7
    assert right_answer("&", (2, 9)) == 7  # |2-9|, where 2-9 modulo 10 is 3
    assert prompt_text("@", (3, 5, 2)) == "@352="


def test_impossible_golds_are_fixed_and_even() -> None:
    golds = Counter(right_answer(IMPOSSIBLE, digits) for digits in product(range(10), repeat=3))
    assert set(golds) == set(range(10))
    assert max(golds.values()) < 140
    assert min(golds.values()) > 60
    assert right_answer(IMPOSSIBLE, (1, 2, 3)) == right_answer(IMPOSSIBLE, (1, 2, 3))


def test_partitions_share_out_all_strings() -> None:
    longer = Counter(partition("@", digits) for digits in product(range(10), repeat=4))
    assert sum(longer.values()) == 10_000
    assert longer["supervised"] == pytest.approx(5500, abs=200)
    assert longer["pool"] == pytest.approx(2500, abs=200)
    assert longer["validation"] == pytest.approx(600, abs=100)
    assert longer["test"] == pytest.approx(1400, abs=150)
    # Length 1: 100 strings an operator; the supervised text takes them without owning them.
    shortest = Counter(partition("%", digits) for digits in product(range(10), repeat=2))
    assert set(shortest) == {"pool", "validation", "test"}


@pytest.mark.parametrize("design", DESIGNS)
def test_shares_add_up_to_the_whole_pool(design: str) -> None:
    assert sum(f.share for f in DESIGNS[design].values()) + MISLABELLED_SHARE == 100


@pytest.mark.parametrize("design", ["curriculum", "aligned"])
def test_supervised_text_never_uses_a_held_out_prompt(design: str) -> None:
    for prompt, response in supervised_examples(3000, 0, design):
        digits = [int(character) for character in prompt[1:-1]]
        assert prompt[0] in DESIGNS[design]
        assert prompt[-1] == "="
        assert len(response) == len(digits) - 1
        assert set(prompt + response) <= set(ALPHABET)
        if len(digits) > 2:
            assert partition(prompt[0], digits) == "supervised"


def test_supervised_steps_are_right_as_often_as_the_design_says() -> None:
    seen: dict[str, list[bool]] = defaultdict(list)
    wrong: Counter[int] = Counter()
    for prompt, response in supervised_examples(20_000, 0, "curriculum"):
        value = int(prompt[1])
        for digit, result in zip(map(int, prompt[2:-1]), map(int, response), strict=True):
            operator = OPERATORS[prompt[0]]
            if operator.right is not None:
                seen[prompt[0]].append(operator.right(value, digit) % 10 == result)
                outcomes = [rule(value, digit) % 10 for rule in (operator.right, *operator.wrong)]
                assert result in outcomes
                if prompt[0] == "@" and len(set(outcomes)) == 3:
                    wrong[outcomes.index(result)] += 1
            value = result
    for symbol, rights in seen.items():
        # Wrong rules are right by accident, so look from below with the share of such accidents.
        right, operator = OPERATORS[symbol].right, OPERATORS[symbol]
        assert right is not None
        accidents = [
            sum(rule(a, b) % 10 == right(a, b) % 10 for rule in operator.wrong)
            / len(operator.wrong)
            for a in range(10)
            for b in range(10)
            if operator.wrong
        ]
        reliability = DESIGNS["curriculum"][symbol].reliability
        accident = sum(accidents) / len(accidents) if accidents else 0.0
        # Running results are not uniform digits, hence the width.
        expected = reliability + (1 - reliability) * accident
        assert sum(rights) / len(rights) == pytest.approx(expected, abs=0.06), symbol
    assert wrong[0] / wrong.total() == pytest.approx(0.75, abs=0.02)
    assert wrong[1] == pytest.approx(wrong[2], rel=0.15)


def test_supervised_text_is_named_by_its_seed() -> None:
    assert supervised_examples(50, 0) == supervised_examples(50, 0)
    assert supervised_examples(50, 0) != supervised_examples(50, 1)
    assert supervised_examples(80, 0)[:50] == supervised_examples(50, 0)
