"""Golds that verify against themselves; rows whose golds do not are dropped and listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cropi.benchmarks.ledger import fault
from cropi.benchmarks.sets import digest_of, each_set
from cropi.contracts import Prompts, Verifier
from cropi.runtime.errors import DataError
from cropi.types import Prompt


def trusted(prompts: Prompts, verifier: Verifier) -> Prompts:
    """The prompts that ``verifier`` can judge; the report says what was dropped from each set.

    Raises DataError when a set loses all its prompts.
    """
    faults: list[dict[str, Any]] = []
    sets: dict[str, dict[str, int | str]] = {}

    def kept(name: str, candidates: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
        problems = gold_problems(candidates, verifier)
        rest = tuple(p for p, why in zip(candidates, problems, strict=True) if why is None)
        reasons = Counter(f"unusable gold: {why}" for why in problems if why is not None)
        sets[name] = {
            "loaded": len(candidates), "kept": len(rest), **dict(sorted(reasons.items())),
            "ids": digest_of(rest),
        }  # fmt: skip
        faults.extend(
            fault(name, prompt, f"unusable gold: {why}")
            for prompt, why in zip(candidates, problems, strict=True) if why is not None
        )  # fmt: skip
        if candidates and not rest:
            raise DataError(
                f"{name}: none of the {len(candidates)} prompts has a gold that "
                f"{type(verifier).__name__} can use "
                f"({', '.join(f'{n} {why}' for why, n in reasons.items())}); "
                f"choose another verifier, or set how the answer is stored (gold=…)"
            )
        return rest

    usable = each_set(prompts, kept)
    report = replace(prompts.report, sets=sets, faults=[*prompts.report.faults, *faults])
    return replace(usable, report=report)


def gold_problems(prompts: Sequence[Prompt], verifier: Verifier) -> list[str | None]:
    """What the verifier says of the golds, and whether the gold as an answer is really paid.

    Golds are alternatives: one that works is enough. Prompts without golds (tasks with their own
    scorer) are left to the verifier.
    """
    problems = verifier.gold_problems(prompts)
    asked = [
        (number, gold)
        for number, (prompt, problem) in enumerate(zip(prompts, problems, strict=True))
        if problem is None
        for gold in prompt.golds
    ]
    verdicts = verifier.verify_all(
        [(verifier.completion_of(gold), prompts[number]) for number, gold in asked]
    )
    right = {n for (n, _), v in zip(asked, verdicts, strict=True) if v.correctness == 1.0}
    return [
        "does not verify against itself"
        if problem is None and prompt.golds and number not in right else problem
        for number, (prompt, problem) in enumerate(zip(prompts, problems, strict=True))
    ]  # fmt: skip
