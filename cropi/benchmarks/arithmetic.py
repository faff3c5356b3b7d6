"""The built-in testbed: chains of one-digit arithmetic with planted families of prompts.

What each prompt is good for is known: those of the target families help, the others do not, and
the mislabelled ones hurt. So it can be tested whether a selector finds what it should.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from cropi.arithmetic import (
    DESIGNS,
    MISLABELLED_OPERATORS,
    MISLABELLED_SHARE,
    OPERATORS,
    DesignName,
    Partition,
    chain,
    partition,
    prompt_text,
    right_answer,
)
from cropi.benchmarks.assembly import Rules, assemble
from cropi.contracts import Benchmark, PositiveInt, Prompts
from cropi.runtime.errors import DataError
from cropi.runtime.parts import part
from cropi.runtime.seeds import stream
from cropi.types import Prompt

Digits = tuple[int, ...]
UNTARGETED = "&"  # the operator of test set C, for which no validation set speaks


@part
class Arithmetic(Benchmark):
    """A mixed pool; validation sets A and B; test sets A and B (targeted) and C (not).

    All prompts differ. A prompt's family is role/operator, such as ``target_A/@``; its metadata
    holds ``role``, ``operator``, ``level`` (the chain's length) and ``truth``, which is not the
    gold where the prompt is mislabelled.
    """

    design: DesignName = "curriculum"
    pool_size: PositiveInt = 3000
    validation_size: PositiveInt = 100
    test_size: PositiveInt = 250
    max_new_tokens: PositiveInt = 5
    max_prompt_tokens: PositiveInt = 8

    def load(self, seed: int) -> Prompts:
        """Draw every set. Raises DataError when an operator has too few prompts for a size."""
        return assemble(
            train={"arithmetic": self._pool(seed)},
            validation={name: self._set(name, "validation", seed) for name in "AB"},
            tests={name: self._set(name, "test", seed) for name in "ABC"},
            # Partitions never share a prompt; if they do, something is broken.
            rules=Rules(targeted=["A", "B"], overlap="error"),
            seed=seed,
        )

    def _pool(self, seed: int) -> list[Prompt]:
        families = DESIGNS[self.design]
        shares = {symbol: family.share for symbol, family in families.items()}
        sizes = divided(self.pool_size, shares | {"mislabelled": MISLABELLED_SHARE})
        wrong = divided(sizes["mislabelled"], dict.fromkeys(MISLABELLED_OPERATORS, 1))
        prompts: list[Prompt] = []
        for symbol, family in families.items():
            supply = unused(symbol, family.levels, "pool", seed)
            # First, so that the few chains of length 1 are among them.
            prompts += [
                mislabelled(symbol, digits, seed)
                for digits in taken(supply, wrong.get(symbol, 0), symbol)
            ]
            prompts += [
                labelled(symbol, digits, family.role)
                for digits in taken(supply, sizes[symbol], symbol)
            ]
        # By content hash: no family comes first.
        return sorted(prompts, key=lambda prompt: prompt.id)

    def _set(self, name: str, where: Partition, seed: int) -> list[Prompt]:
        families = DESIGNS[self.design]
        symbols = [symbol for symbol, f in families.items() if f.role == f"target_{name}"]
        size = self.validation_size if where == "validation" else self.test_size
        prompts: list[Prompt] = []
        for symbol, n in divided(size, dict.fromkeys(symbols or [UNTARGETED], 1)).items():
            family = families[symbol]
            supply = unused(symbol, family.levels, where, seed)
            prompts += [labelled(symbol, d, family.role) for d in taken(supply, n, symbol)]
        return sorted(prompts, key=lambda prompt: prompt.id)


def divided(total: int, shares: Mapping[str, int]) -> dict[str, int]:
    """``total`` in whole numbers proportional to ``shares``; largest remainders, then first."""
    whole = sum(shares.values())
    sizes = {name: total * share // whole for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: -(total * shares[name] % whole))
    for name in by_remainder[: total - sum(sizes.values())]:
        sizes[name] += 1
    return sizes


def unused(
    symbol: str, levels: Sequence[int], where: Partition, seed: int
) -> Iterator[Digits]:
    """Every prompt of a partition once, chain lengths in turn until one after another runs out.

    Length 1 has the fewest: 100 an operator over all partitions, against 10,000 of length 3.
    """
    lanes = [_shuffled(symbol, level, where, seed) for level in levels]
    while lanes:
        for lane in list(lanes):
            digits = next(lane, None)
            if digits is None:
                lanes.remove(lane)
            else:
                yield digits


def _shuffled(symbol: str, level: int, where: Partition, seed: int) -> Iterator[Digits]:
    random = stream(seed, "arithmetic", where, symbol, level)
    for number in random.permutation(10 ** (level + 1)):
        digits = tuple(map(int, f"{number:0{level + 1}d}"))
        if partition(symbol, digits) == where:
            yield digits


def taken(supply: Iterator[Digits], n: int, symbol: str) -> list[Digits]:
    found = list(islice(supply, n))
    if len(found) < n:
        raise DataError(
            f"operator {symbol} has only {len(found)} prompts of the {n} asked for; "
            f"set a smaller benchmark.pool_size, validation_size or test_size"
        )
    return found


def labelled(symbol: str, digits: Digits, role: str, gold: int | None = None) -> Prompt:
    """A prompt with its right answer, or with another ``gold``."""
    truth = right_answer(symbol, digits)
    return Prompt.create(
        prompt_text(symbol, digits),
        [str(truth if gold is None else gold)],
        source="arithmetic",
        family=f"{role}/{symbol}",
        metadata={
            "role": role, "operator": symbol, "level": len(digits) - 1, "truth": str(truth)
        },
    )


def mislabelled(symbol: str, digits: Digits, seed: int) -> Prompt:
    """A prompt whose gold is wrong: half the time a misconception's answer, else any wrong digit.

    Never right by accident, although wrong rules often are.
    """
    random = stream(seed, "arithmetic mislabelled", prompt_text(symbol, digits))
    truth = right_answer(symbol, digits)
    wrong = [digit for digit in range(10) if digit != truth]
    if random.random() < 0.5:
        believed = {chain(rule, digits)[-1] for rule in OPERATORS[symbol].wrong}
        wrong = sorted(believed - {truth}) or wrong
    return labelled(symbol, digits, "mislabelled", gold=wrong[random.integers(len(wrong))])
