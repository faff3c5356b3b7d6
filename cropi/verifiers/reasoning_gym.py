"""Answers to reasoning_gym tasks, judged by the task's own scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from cropi.contracts import Verifier
from cropi.runtime.parts import part
from cropi.types import Prompt, Verdict
from cropi.verifiers.answers import LONGEST_ANSWER
from cropi.verifiers.extraction import Ways, locate, trim, ways
from cropi.verifiers.limited import Limited
from cropi.verifiers.process import Outcome


@part
class ReasoningGymVerifier(Limited, Verifier):
    """Reward 1 when the scorer gives at least 1; partial credit never pays.

    The prompt's metadata holds ``gym_task``, the task's name, and ``gym_entry``, the JSON entry
    it generated. Scorers run in worker processes: they may raise, hang or evaluate what they read.
    """

    extraction: Ways = Field(default_factory=ways("boxed", "tag", "whole"))
    megabytes: Annotated[int, Field(ge=512)] = 4096

    def __post_init__(self) -> None:
        self.start_with("cropi.verifiers.gym_scoring:score")

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        return self.verify_all([(text, prompt)])[0]

    def verify_all(self, items: Sequence[tuple[str, Prompt]]) -> list[Verdict]:
        answers = [locate(text, self.extraction) for text, _ in items]
        verdicts = [_without_scoring(a, p) for a, (_, p) in zip(answers, items, strict=True)]
        open_items = [i for i, verdict in enumerate(verdicts) if verdict is None]
        jobs = [_job(str(answers[i]), items[i][1]) for i in open_items]
        for i, outcome in zip(open_items, self._processes.run(jobs), strict=True):
            verdicts[i] = _scored(outcome, answers[i])
        return [verdict for verdict in verdicts if verdict is not None]

    def gold_problem(self, prompt: Prompt) -> str | None:
        """Why the task cannot be scored; where the entry holds an answer, it must score 1."""
        if not _is_scorable(prompt):
            return "metadata without gym_task and gym_entry"
        answer = prompt.metadata["gym_entry"].get("answer")
        if not isinstance(answer, str):
            return None  # tasks with many right answers keep none
        verdict = _scored(self._processes.run([_job(answer, prompt)])[0], answer)
        if verdict.reward == 1.0:
            return None
        return f"{prompt.metadata['gym_task']} does not accept its own answer ({verdict.status})"


def _is_scorable(prompt: Prompt) -> bool:
    task, entry = prompt.metadata.get("gym_task"), prompt.metadata.get("gym_entry")
    return isinstance(task, str) and isinstance(entry, Mapping)


def _without_scoring(answer: str | None, prompt: Prompt) -> Verdict | None:
    """The verdicts that need no scorer."""
    if not _is_scorable(prompt):
        return Verdict(None, "bad_gold", "none")
    if answer is None:
        return Verdict(0.0, "no_answer", "none")
    if len(answer) > LONGEST_ANSWER:
        return Verdict(0.0, "oversize", "none", answer[:LONGEST_ANSWER])
    return None


def _job(answer: str, prompt: Prompt) -> dict[str, Any]:
    metadata = prompt.metadata
    # Some tasks ask for a full stop or a $ that another answer only ends with.
    forms = list(dict.fromkeys([answer, trim(answer)]))
    return {"task": metadata["gym_task"], "entry": metadata["gym_entry"], "answers": forms}


def _scored(outcome: Outcome, answer: str | None) -> Verdict:
    milliseconds = 1000 * outcome.seconds
    match outcome.status:
        case "ok":
            return Verdict(float(outcome.value >= 1.0), "ok", "scorer", answer, milliseconds)
        case "memory":
            return Verdict(0.0, "oversize", "scorer", answer, milliseconds)
        case failed:
            return Verdict(0.0, failed, "scorer", answer, milliseconds)
