"""Loading a benchmark for one policy: what does not fit is dropped, counted and listed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cropi.contracts import Prompts, Verifier
from cropi.policies.policy import Policy
from cropi.runtime.errors import ConfigError, DataError
from cropi.selectors.ranking import budget_of
from cropi.settings import Parts
from cropi.types import Prompt

EXAMPLES = 5


@dataclass
class Fit:
    """Prompts dropped for this policy and verifier: ``dropped[set][reason]`` is a list of ids."""

    dropped: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """One plain line a set and reason."""
        return [
            f"{name}: dropped {len(ids)} ({reason}), for example {', '.join(ids[:EXAMPLES])}"
            for name, reasons in self.dropped.items()
            for reason, ids in reasons.items()
        ]

    def metrics(self) -> dict[str, float]:
        return {
            f"data/{name}/dropped/{reason}": len(ids)
            for name, reasons in self.dropped.items()
            for reason, ids in reasons.items()
        }


def fit(
    prompts: Prompts, policy: Policy, verifier: Verifier, max_prompt_tokens: int
) -> tuple[Prompts, Fit]:
    """The prompts that the policy can read whole and the verifier can judge.

    The length is that of the templated, tokenised prompt (pitfall 21). A prompt is never cut.
    Raises DataError when a set loses all its prompts.
    """
    found = Fit()

    def kept(name: str, candidates: Iterable[Prompt]) -> tuple[Prompt, ...]:
        rest, reasons = [], found.dropped.setdefault(name, {})
        candidates = tuple(candidates)
        for prompt in candidates:
            if (problem := verifier.gold_problem(prompt)) is not None:
                reasons.setdefault(f"unusable gold: {problem}", []).append(prompt.id)
            elif len(policy.encode(prompt)) > max_prompt_tokens:
                reasons.setdefault("overlong", []).append(prompt.id)
            else:
                rest.append(prompt)
        if candidates and not rest:
            raise DataError(
                f"{name}: all {len(candidates)} prompts were dropped "
                f"({', '.join(f'{len(ids)} {reason}' for reason, ids in reasons.items())}); "
                f"raise benchmark.max_prompt_tokens={max_prompt_tokens} or choose another verifier"
            )
        return tuple(rest)

    fitting = replace(
        prompts,
        pool=kept("train", prompts.pool),
        validation={n: kept(f"validation/{n}", p) for n, p in prompts.validation.items()},
        tests={
            n: replace(t, prompts=kept(f"test/{n}", t.prompts)) for n, t in prompts.tests.items()
        },
    )
    if not fitting.pool:
        raise DataError("the benchmark has no training prompts")
    found.dropped = {name: reasons for name, reasons in found.dropped.items() if reasons}
    return fitting, found


def check(parts: Parts, prompts: Prompts) -> None:
    """Whether the parts suit the prompts, before anything is drawn or trained.

    Raises ConfigError for a share that selects nothing, for test sets that do not exist, and for
    a selector that needs validation sets where the benchmark has none.
    """
    problems: list[str] = []
    for question in (
        lambda: budget_of(parts.selector.alpha, len(prompts.pool)),
        lambda: parts.evaluation.chosen(prompts.tests),
    ):
        try:
            question()
        except ConfigError as error:
            problems += error.problems
    by_validation = {"validation", "validation_prompts"} & parts.selector.needs()
    if by_validation and not any(prompts.validation.values()):
        problems.append(
            f"selector: {type(parts.selector).__name__} scores by validation sets, and the "
            f"benchmark has none; set benchmark.validation_share=0.2 or name validation files"
        )
    if problems:
        raise ConfigError(problems)


def fingerprint(prompts: Prompts) -> dict[str, dict[str, str | int]]:
    """For the manifest: size of each set and a hash of its prompt ids, in order."""
    return {
        name: {"prompts": len(chosen), "ids": digest_of(chosen)}
        for name, chosen in sets_of(prompts).items()
    }


def sets_of(prompts: Prompts) -> dict[str, tuple[Prompt, ...]]:
    """All sets by name: ``train``, ``validation/…``, ``test/…``."""
    return {
        "train": prompts.pool,
        **{f"validation/{name}": chosen for name, chosen in prompts.validation.items()},
        **{f"test/{name}": test.prompts for name, test in prompts.tests.items()},
    }


def digest_of(prompts: Iterable[Prompt]) -> str:
    """A hash of the prompts' ids, in order (16 hexadecimal digits)."""
    return hashlib.sha256("\n".join(p.id for p in prompts).encode()).hexdigest()[:16]
