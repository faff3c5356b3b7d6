"""Loading a benchmark for one policy: what does not fit is dropped, counted and listed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cropi.benchmarks.sets import digest_of, each_set, sets_of
from cropi.benchmarks.trusted import trusted
from cropi.contracts import Benchmark, Prompts, Verifier
from cropi.runtime.errors import ConfigError, DataError
from cropi.selectors.ranking import budget_of
from cropi.settings import Parts
from cropi.types import Prompt

if TYPE_CHECKING:
    from cropi.policies.policy import Policy

EXAMPLES = 5


def loaded(benchmark: Benchmark, verifier: Verifier, seed: int) -> Prompts:
    """What can be trusted of a benchmark, with the account of the rest; no model is needed.

    Raises DataError when a set is empty or cannot be read.
    """
    return trusted(benchmark.load(seed), verifier)


@dataclass
class Fit:
    """Prompts too long for this policy: ``dropped[set]`` is a list of ids."""

    dropped: dict[str, list[str]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """One plain line a set."""
        return [
            f"{name}: dropped {len(ids)} (overlong), for example {', '.join(ids[:EXAMPLES])}"
            for name, ids in self.dropped.items()
        ]


def fit(prompts: Prompts, policy: Policy, max_prompt_tokens: int) -> tuple[Prompts, Fit]:
    """The prompts that the policy can read whole.

    The length is that of the templated, tokenised prompt (pitfall 21). A prompt is never cut.
    Raises DataError when a set loses all its prompts.
    """
    found = Fit()

    def kept(name: str, candidates: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
        rest = tuple(p for p in candidates if len(policy.encode(p)) <= max_prompt_tokens)
        if candidates and not rest:
            raise DataError(
                f"{name}: all {len(candidates)} prompts were dropped (overlong); raise "
                f"benchmark.max_prompt_tokens={max_prompt_tokens}"
            )
        if len(rest) < len(candidates):
            here = {prompt.id for prompt in rest}
            found.dropped[name] = [p.id for p in candidates if p.id not in here]
        return rest

    fitting = each_set(prompts, kept)
    if not fitting.pool:
        raise DataError("the benchmark has no training prompts")
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
