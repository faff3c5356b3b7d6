"""A stored group made ready for an engine, or the reason why it says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cropi.types import BoolArray, FloatArray, Group, LogProbArray, TokenArray

EQUAL = "equal rewards"  # the gradient is exactly zero: nothing is computed
UNSCORED = "no scorable reward"
BROKEN = "log-probabilities not finite"


@dataclass(frozen=True)
class Prepared:
    """The K scorable trajectories of a prompt.

    ``responses`` are the distinct ones and ``response_of`` [K] which of them each trajectory is:
    a repeated trajectory is computed once. ``behaviour`` float32 [K, T] and ``mask`` [K, T] end
    where the longest trajectory does; ``rewards`` float64 [K] make the gradient, ``correctness``
    float64 [K] the pass rate.
    """

    prompt_id: str
    prompt: TokenArray
    responses: tuple[TokenArray, ...]
    response_of: np.ndarray
    behaviour: LogProbArray
    mask: BoolArray
    rewards: FloatArray
    correctness: FloatArray
    temperature: float

    @property
    def length(self) -> int:
        """Tokens of the longest response."""
        return self.mask.shape[1]


def prepare(group: Group) -> Prepared | str:
    """The group without its unscorable trajectories; or the reason why it has no gradient.

    One log-probability that is not finite condemns its prompt, and no other (trl#6297).
    """
    kept = [t for t in group.trajectories if t.reward is not None]
    if len(kept) < 2:
        return UNSCORED
    rewards = np.array([t.reward for t in kept], dtype=np.float64)
    if rewards.max() == rewards.min():
        return EQUAL
    if not all(np.isfinite(t.log_probs).all() for t in kept):
        return BROKEN
    longest = max(1, *(len(t.token_ids) for t in kept))
    behaviour = np.zeros((len(kept), longest), dtype=np.float32)
    mask = np.zeros((len(kept), longest), dtype=bool)
    places: dict[bytes, int] = {}
    responses: list[TokenArray] = []
    response_of = np.zeros(len(kept), dtype=np.int64)
    for row, trajectory in enumerate(kept):
        ids = np.ascontiguousarray(trajectory.token_ids, dtype=np.int32)
        behaviour[row, : len(ids)] = trajectory.log_probs
        mask[row, : len(ids)] = True
        response_of[row] = places.setdefault(ids.tobytes(), len(responses))
        if response_of[row] == len(responses):
            responses.append(ids)
    return Prepared(
        prompt_id=group.prompt_id,
        prompt=group.prompt_token_ids,
        responses=tuple(responses),
        response_of=response_of,
        behaviour=behaviour,
        mask=mask,
        rewards=rewards,
        correctness=np.array([t.correctness for t in kept], dtype=np.float64),
        temperature=group.temperature if group.temperature > 0 else 1.0,
    )


def repeated_share(groups: Sequence[Prepared]) -> float:
    """The share of trajectories that repeat another of their prompt."""
    total = sum(len(g.response_of) for g in groups)
    return 1.0 - sum(len(g.responses) for g in groups) / total if total else 0.0
