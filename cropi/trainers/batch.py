"""A step's groups as rows to learn from: tokens, advantages, and which rows count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropi.advantages import Baseline, Scale, group_advantages, varied_groups
from cropi.trainers.overlong import Overlong
from cropi.types import BoolArray, FloatArray, Group, TokenArray, Trajectory

Rows = npt.NDArray[np.int64]


def rewards_that_count(group: Group, *, mask_truncated: bool) -> FloatArray:
    """float64 [K]: the rewards, NaN where a completion is left out of everything."""
    rewards = group.rewards
    if mask_truncated:
        rewards[[t.truncated for t in group.trajectories]] = np.nan
    return rewards


def has_signal(group: Group, *, mask_truncated: bool) -> bool:
    """Whether the rewards that count differ, so that the group says which way to go."""
    return bool(varied_groups(rewards_that_count(group, mask_truncated=mask_truncated)[None])[0])


@dataclass(frozen=True)
class Batch:
    """N trajectories, group after group.

    A group is a place in the batch, not a prompt: a prompt that comes twice has two baselines.
    ``kept`` rows are counted in the loss's denominators; the others (not scorable, or truncated
    and masked) are in no numerator, denominator or baseline. ``varied`` tells the rows of groups
    whose rewards differ.
    """

    prompts: tuple[TokenArray, ...]
    trajectories: tuple[Trajectory, ...]
    group: Rows  # [N]
    advantages: FloatArray  # [N], times the prompt's weight
    kept: BoolArray  # [N]
    varied: BoolArray  # [N]
    lengths: Rows  # [N], tokens of the completions
    overlong_penalty: float  # mean over the completions of what was taken from their rewards

    @classmethod
    def of(
        cls,
        groups: Sequence[Group],
        weights: Mapping[str, float],
        *,
        scale: Scale,
        mask_truncated: bool,
        baseline: Baseline = "mean",
        overlong: Overlong | None = None,
    ) -> Batch:
        """``weights`` holds the loss weight of each prompt id; ``overlong`` shapes the rewards."""
        sizes = [len(g.trajectories) for g in groups]
        trajectories = tuple(t for g in groups for t in g.trajectories)
        lengths = np.array([len(t.token_ids) for t in trajectories], dtype=np.int64)
        penalties = overlong.penalties(lengths) if overlong else np.zeros(len(lengths))
        rewards = [
            (rewards_that_count(g, mask_truncated=mask_truncated) + taken)[None]
            for g, taken in zip(groups, np.split(penalties, np.cumsum(sizes)[:-1]), strict=True)
        ]
        return cls(
            prompts=tuple(g.prompt_token_ids for g in groups for _ in g.trajectories),
            trajectories=trajectories,
            group=np.repeat(np.arange(len(groups)), sizes),
            advantages=np.concatenate(
                [
                    weights[g.prompt_id] * group_advantages(r, scale, baseline)[0]
                    for g, r in zip(groups, rewards, strict=True)
                ]
            ),
            kept=~np.isnan(np.concatenate([r[0] for r in rewards])),
            varied=np.repeat([bool(varied_groups(r)[0]) for r in rewards], sizes),
            lengths=lengths,
            overlong_penalty=float(penalties.mean()) + 0.0,
        )

    def mini_batches(self, count: int) -> list[Rows]:
        """Rows in ``count`` nearly equal parts of whole groups, fewer when groups are fewer."""
        parts = np.array_split(np.unique(self.group), count)
        return [np.flatnonzero(np.isin(self.group, part)) for part in parts if part.size]

    def micro_batches(self, rows: Rows, size: int) -> list[Rows]:
        """``rows`` in chunks of at most ``size``, alike in length so that little is padding."""
        width = self.lengths + np.array([len(prompt) for prompt in self.prompts])
        ordered = rows[np.argsort(width[rows], kind="stable")]
        return [ordered[i : i + size] for i in range(0, len(ordered), size)]
