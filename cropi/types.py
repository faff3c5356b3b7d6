"""What travels between the parts: prompts, trajectories, groups, scores, selections, costs.

Frozen and free of torch, so every layer may use them and reading a finished run stays cheap.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
TokenArray = npt.NDArray[np.int32]
LogProbArray = npt.NDArray[np.float32]

FinishReason = Literal["stop", "length"]
VerdictStatus = Literal[
    "ok", "no_answer", "unparsed", "timeout", "oversize", "bad_gold", "crashed"
]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question with its accepted answers.

    ``id`` is a hash of the content, never a row number: rows move when a pool is filtered.
    ``golds`` are alternatives, any of which is right. ``family`` names the kind of task (for
    composition reports), ``source`` the data set it came from. ``metadata`` holds JSON values only.
    """

    id: str
    question: str
    golds: tuple[str, ...]
    source: str
    family: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        question: str,
        golds: Iterable[str],
        *,
        source: str,
        family: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> Prompt:
        """A prompt whose id is the hash of question and golds (the same row, the same id)."""
        answers = tuple(golds)
        content = json.dumps([question, list(answers)], ensure_ascii=False)
        digest = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:16]
        return cls(digest, question, answers, source, family, dict(metadata or {}))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of one completion.

    ``reward`` is None when the row cannot be scored (an unusable gold): such a trajectory is
    left out of baselines and losses. A timeout or a crash is its own status, never a silent 0.
    ``reward`` is what training maximises. ``parts`` holds the rewards it was put together from,
    by name, where there are several (correctness and format, say).
    """

    reward: float | None
    status: VerdictStatus
    method: str
    extracted: str | None = None
    milliseconds: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def correctness(self) -> float | None:
        """What filters, pass rates and tests count: the part of that name, else the reward."""
        return None if self.reward is None else self.parts.get("correctness", self.reward)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One completion of a prompt, as sampled.

    ``token_ids`` int32 [T] are the generated ids, the end-of-sequence id included when the model
    produced one (``finish == "stop"``); they are never re-tokenised. ``log_probs`` float32 [T]
    are those of the behaviour policy over the full distribution at the sampling temperature.
    """

    token_ids: TokenArray
    log_probs: LogProbArray
    finish: FinishReason
    text: str
    verdict: Verdict | None = None

    @property
    def reward(self) -> float | None:
        """The verdict's reward; None when ungraded or not scorable."""
        return None if self.verdict is None else self.verdict.reward

    @property
    def correctness(self) -> float | None:
        """The verdict's; None when ungraded or not scorable."""
        return None if self.verdict is None else self.verdict.correctness

    @property
    def truncated(self) -> bool:
        return self.finish == "length"


@dataclass(frozen=True, slots=True)
class Group:
    """The K trajectories of one prompt, drawn at one temperature.

    Usually from one behaviour policy; where newer trajectories join, each carries the
    log-probabilities of the policy that drew it.
    """

    prompt_id: str
    prompt_token_ids: TokenArray  # int32 [P], template applied
    trajectories: tuple[Trajectory, ...]
    temperature: float = 1.0  # the log-probabilities' too (at 0, greedy, they are those at 1)

    @property
    def rewards(self) -> FloatArray:
        """float64 [K], NaN where a trajectory cannot be scored: what gradients are made of."""
        return _or_nan([t.reward for t in self.trajectories])

    @property
    def correctness(self) -> FloatArray:
        """float64 [K], NaN likewise: what pass rates and accuracies are made of."""
        return _or_nan([t.correctness for t in self.trajectories])

    @property
    def is_informative(self) -> bool:
        """Whether the scorable rewards differ, so that some advantage is not zero."""
        rewards = self.rewards[~np.isnan(self.rewards)]
        return rewards.size > 1 and float(rewards.max() - rewards.min()) > 0.0


def _or_nan(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


@dataclass(frozen=True)
class Scores:
    """A selector's opinion of a pool: one value a prompt, and whether it is defined.

    An undefined score (no rollouts, no scorable reward, no gradient) is ``valid=False``, never 0
    and never NaN. ``components`` are named columns kept for the reader (pass rate, cosine, …),
    ``metrics`` single numbers about the scoring as a whole, which are logged.
    """

    ids: tuple[str, ...]
    values: FloatArray  # [N]; higher is better
    valid: BoolArray  # [N]
    components: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.ids)
        columns = {"values": self.values, "valid": self.valid, **self.components}
        for name, column in columns.items():
            if column.shape != (n,):
                raise ValueError(f"scores.{name} has shape {column.shape}, expected ({n},)")
        if not np.isfinite(self.values[self.valid]).all():
            raise ValueError("a valid score is not finite: mark it valid=False instead")


@dataclass(frozen=True)
class Selection:
    """The prompts of one phase, best first, with loss weights (mean 1) and a reason for each."""

    ids: tuple[str, ...]
    weights: tuple[float, ...]
    reasons: tuple[str, ...]
    budget: int

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.weights) == len(self.reasons):
            raise ValueError("selection ids, weights and reasons differ in length")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("a selection names a prompt twice")


@dataclass(frozen=True)
class Cost:
    """What was spent, by purpose and kind: ``cost.amounts["training"]["generated_tokens"]``.

    Purposes: load, offline_rollout, selection, training, evaluation. Kinds: seconds,
    generated_tokens, forward_tokens, backward_tokens, graded. Costs add up with ``+``.
    """

    amounts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, purpose: str, **kinds: float) -> Cost:
        return cls({purpose: {kind: amount for kind, amount in kinds.items() if amount}})

    def __add__(self, other: Cost) -> Cost:
        total = {purpose: dict(kinds) for purpose, kinds in self.amounts.items()}
        for purpose, kinds in other.amounts.items():
            mine = total.setdefault(purpose, {})
            for kind, amount in kinds.items():
                mine[kind] = mine.get(kind, 0) + amount
        return Cost(total)

    def total(self, kind: str, *, without: tuple[str, ...] = ()) -> float:
        """The sum of one kind over all purposes but ``without``."""
        return sum(k.get(kind, 0) for p, k in self.amounts.items() if p not in without)

    def flat(self, prefix: str = "cost") -> dict[str, float]:
        """``{"cost/training/seconds": 1.5, …}`` for logging."""
        return {
            f"{prefix}/{purpose}/{kind}": amount
            for purpose, kinds in sorted(self.amounts.items())
            for kind, amount in sorted(kinds.items())
        }
