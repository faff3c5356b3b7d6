"""How good is the policy? Every test set, the same prompts and draws at every step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import Field

from cropi.contracts import PositiveInt, Rollouts, Sampling, TestSet
from cropi.evaluation.outcomes import Outcomes, write_outcomes
from cropi.runtime.errors import ConfigError, did_you_mean
from cropi.runtime.files import read_json, write_json
from cropi.runtime.parts import Part, part
from cropi.types import Cost, Prompt
from cropi.verdicts import verdict_rates

if TYPE_CHECKING:
    from cropi.policies.policy import Policy

RESULT_FILE = "evaluation.json"


@dataclass(frozen=True)
class EvaluationResult:
    """Flat metrics (``eval/gsm8k/avg@4``, ``eval/targeted``, …) after ``step``, and the cost."""

    step: int
    metrics: Mapping[str, float]
    cost: Cost


@part
class Evaluation(Part):
    """Draws ``samples`` completions of each test prompt and reports accuracy and its error.

    ``eval/targeted``, ``eval/untargeted`` and ``eval/all`` are plain means of the sets' avg@k,
    as in the paper's tables; each is absent when one of its sets has no value.
    """

    every: PositiveInt = 10
    samples: PositiveInt = 4
    sampling: Sampling = Field(default_factory=Sampling)
    pass_at: list[PositiveInt] | None = None
    limit: PositiveInt | None = None
    sets: list[str] | None = None
    keep_text: bool = False

    def __post_init__(self) -> None:
        if self.samples > 1 and self.sampling.temperature == 0:
            raise ValueError(
                f"greedy sampling (temperature 0) would give the same completion {self.samples} "
                f"times: set evaluation.samples=1, or a temperature above 0"
            )
        if self.pass_at and max(self.pass_at) > self.samples:
            raise ValueError(
                f"pass@{max(self.pass_at)} needs at least as many samples: "
                f"set evaluation.samples={max(self.pass_at)} or shorten evaluation.pass_at"
            )

    def is_due(self, step: int, *, phase_ends: bool) -> bool:
        """Whether to evaluate after ``step``: at 0, every so many, and when a phase ends."""
        return phase_ends or step % self.every == 0

    def chosen(self, tests: Mapping[str, TestSet]) -> dict[str, list[Prompt]]:
        """The prompts to evaluate, by set: those with the lowest ids (content hashes).

        Raises ConfigError when ``sets`` names one that the benchmark does not have.
        """
        names = list(tests) if self.sets is None else self.sets
        problems = [
            f"evaluation.sets: the benchmark has no test set {name!r}{did_you_mean(name, tests)}; "
            f"it has {', '.join(tests)}"
            for name in names if name not in tests
        ]
        if problems:
            raise ConfigError(problems)
        ordered = {name: sorted(tests[name].prompts, key=lambda p: p.id) for name in names}
        return {name: prompts[: self.limit] for name, prompts in ordered.items() if prompts}

    def evaluate(
        self,
        policy: Policy,
        tests: Mapping[str, TestSet],
        rollouts: Rollouts,
        step: int,
        folder: Path,
        seed: int,
    ) -> EvaluationResult:
        """Evaluate and write ``folder``: a Parquet file a set, and the result last.

        The streams do not name the step, so that two evaluations differ by the policy alone and
        comparisons are paired. ``seed`` is the one ``rollouts`` is bound to, for the record.
        """
        began = time.perf_counter()
        metrics: dict[str, float] = {}
        accuracy: dict[str, float | None] = {}
        tokens = graded = 0
        pass_at = self.pass_at if self.pass_at is not None else [self.samples]
        for name, prompts in self.chosen(tests).items():
            groups = rollouts(
                policy, prompts, samples=self.samples, sampling=self.sampling,
                stream=("evaluation", name),
            )
            outcomes = Outcomes.of(groups)
            write_outcomes(_outcomes_path(folder, name), groups, keep_text=self.keep_text)
            tokens += int(outcomes.lengths.sum())
            graded += outcomes.lengths.size
            found = outcomes.metrics(pass_at) | verdict_rates(groups)
            metrics |= {f"eval/{name}/{key}": value for key, value in found.items()}
            accuracy[name] = found.get(f"avg@{self.samples}")
        metrics |= _averages(accuracy, tests)
        cost = Cost.of(
            "evaluation", seconds=time.perf_counter() - began, generated_tokens=tokens,
            graded=graded,
        )
        content = {"step": step, "seed": seed, "metrics": metrics, "cost": cost.amounts}
        write_json(folder / RESULT_FILE, content)
        return EvaluationResult(step, metrics, cost)


def load_result(folder: Path) -> EvaluationResult | None:
    """A finished evaluation read back, or None when ``folder`` holds none."""
    path = folder / RESULT_FILE
    if not path.is_file():
        return None
    content = read_json(path)
    return EvaluationResult(content["step"], content["metrics"], Cost(content["cost"]))


def _outcomes_path(folder: Path, name: str) -> Path:
    return folder / f"{quote(name, safe='')}.parquet"


def _averages(
    accuracy: Mapping[str, float | None], tests: Mapping[str, TestSet]
) -> dict[str, float]:
    parts = {
        "eval/targeted": [value for name, value in accuracy.items() if tests[name].targeted],
        "eval/untargeted": [value for name, value in accuracy.items() if not tests[name].targeted],
        "eval/all": list(accuracy.values()),
    }
    averages: dict[str, float] = {}
    for name, values in parts.items():
        known = [value for value in values if value is not None]
        if known and len(known) == len(values):
            averages[name] = sum(known) / len(known)
    return averages
