"""The built-in testbed: sizes, roles and the traps of its first version (testbed.md, section 6)."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache

import pytest

from cropi.arithmetic import OPERATORS, DesignName, chain, partition, supervised_examples
from cropi.benchmarks.arithmetic import Arithmetic, divided
from cropi.contracts import Prompts
from cropi.runtime.errors import DataError
from cropi.types import Prompt


@cache
def loaded(design: DesignName = "curriculum", seed: int = 0) -> Prompts:
    return Arithmetic(design=design).load(seed)


def held_out(prompts: Prompts) -> list[Prompt]:
    sets = [*prompts.validation.values(), *(test.prompts for test in prompts.tests.values())]
    return [prompt for one in sets for prompt in one]


def digits_of(prompt: Prompt) -> list[int]:
    return [int(character) for character in prompt.question[1:-1]]


# testbed.md, section 1.1: percentages of a pool of 3,000.
POOLS = {
    "curriculum": {
        "target_A/@": 150, "target_A/%": 150, "target_B/^": 150, "target_B/!": 150,
        "off_target/&": 540, "off_target/~": 540,
        "solved/+": 300, "solved/-": 270, "solved/*": 270, "impossible/?": 300,
        "mislabelled/@": 45, "mislabelled/%": 45, "mislabelled/^": 45, "mislabelled/!": 45,
    },
    "aligned": {
        "target_A/@": 240, "target_B/^": 240,
        "off_target/&": 360, "off_target/%": 360, "off_target/!": 360,
        "solved/+": 300, "solved/-": 300, "solved/*": 300, "impossible/?": 360,
        "mislabelled/@": 45, "mislabelled/%": 45, "mislabelled/^": 45, "mislabelled/!": 45,
    },
}  # fmt: skip


@pytest.mark.parametrize("design", ["curriculum", "aligned"])
def test_mixture_of_each_design(design: DesignName) -> None:
    prompts = loaded(design)
    assert Counter(prompt.family for prompt in prompts.pool) == POOLS[design]
    assert {name: len(rows) for name, rows in prompts.validation.items()} == {"A": 100, "B": 100}
    assert {name: (len(t.prompts), t.targeted) for name, t in prompts.tests.items()} == {
        "A": (250, True), "B": (250, True), "C": (250, False)
    }
    families = {name: {p.family for p in test.prompts} for name, test in prompts.tests.items()}
    assert families["C"] == {"off_target/&"}
    curriculum = design == "curriculum"
    assert families["A"] == ({"target_A/@", "target_A/%"} if curriculum else {"target_A/@"})
    assert families["B"] == {p.family for p in prompts.validation["B"]}


@pytest.mark.parametrize("design", ["curriculum", "aligned"])
def test_no_prompt_twice_anywhere(design: DesignName) -> None:
    prompts = loaded(design)
    asked = [prompt.question for prompt in (*prompts.pool, *held_out(prompts))]
    assert len(asked) == len(set(asked))
    assert set(prompts.report.overlaps.values()) == {0}


@pytest.mark.parametrize("design", ["curriculum", "aligned"])
def test_supervised_text_and_benchmark_share_only_single_steps(design: DesignName) -> None:
    prompts = loaded(design)
    shown = {prompt for prompt, _ in supervised_examples(5000, 0, design)}
    shared = shown & {prompt.question for prompt in (*prompts.pool, *held_out(prompts))}
    assert {len(question) for question in shared} == {4}  # <operator>d0d1=


def test_other_seeds_draw_other_prompts_from_the_same_partitions() -> None:
    zero, one = loaded(), loaded(seed=1)
    assert {p.id for p in zero.pool} != {p.id for p in one.pool}
    assert not {p.question for p in zero.pool} & {p.question for p in held_out(one)}
    for prompt in one.pool:
        assert partition(prompt.question[0], digits_of(prompt)) == "pool"


def test_golds_follow_the_right_rule() -> None:
    prompts = loaded()
    for prompt in (*prompts.pool, *held_out(prompts)):
        right = OPERATORS[prompt.question[0]].right
        (gold,) = prompt.golds
        if prompt.family.startswith("mislabelled"):
            assert gold != prompt.metadata["truth"]
        else:
            assert gold == prompt.metadata["truth"]
        if right is not None:
            assert prompt.metadata["truth"] == str(chain(right, digits_of(prompt))[-1])


def test_wrong_golds_are_half_misconceptions_and_half_any_digit() -> None:
    # Their first version was right by accident in 10 % of the cases.
    wrong = [p for p in loaded().pool if p.family.startswith("mislabelled")]
    assert len(wrong) == 180
    assert not [p for p in wrong if p.golds[0] == p.metadata["truth"]]
    believed = 0
    for prompt in wrong:
        rules = OPERATORS[prompt.question[0]].wrong
        believed += int(prompt.golds[0]) in {chain(r, digits_of(prompt))[-1] for r in rules}
    # Half by intent, and some 20 % of the random half by luck.
    assert 0.45 < believed / len(wrong) < 0.75


def test_chain_lengths_are_even_while_they_last() -> None:
    levels: dict[str, Counter[int]] = defaultdict(Counter)
    for prompt in loaded().pool:
        levels[prompt.family][prompt.metadata["level"]] += 1
    assert levels["off_target/&"] == {2: 180, 3: 180, 4: 180}
    assert levels["mislabelled/%"] == {1: 15, 2: 15, 3: 15}
    # 135 of length 1 would be even, but there are not so many.
    solved = levels["off_target/~"]
    assert solved[1] <= 70
    assert max(solved[n] for n in (2, 3, 4)) - min(solved[n] for n in (2, 3, 4)) <= 1


def test_sizes_that_no_operator_can_fill() -> None:
    with pytest.raises(DataError, match="operator % has only"):
        Arithmetic(validation_size=2000).load(0)


@pytest.mark.parametrize(
    ("total", "shares", "sizes"),
    [
        (10, {"a": 1, "b": 1, "c": 1}, {"a": 4, "b": 3, "c": 3}),
        (10, {"a": 50, "b": 35, "c": 15}, {"a": 5, "b": 4, "c": 1}),  # 5, 3.5, 1.5
        (3, {"a": 98, "b": 2}, {"a": 3, "b": 0}),
        (0, {"a": 1}, {"a": 0}),
    ],
)
def test_whole_numbers_by_largest_remainder(
    total: int, shares: dict[str, int], sizes: dict[str, int]
) -> None:
    assert divided(total, shares) == sizes
