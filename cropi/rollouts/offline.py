"""Offline rollouts: every prompt once with the behaviour policy, shard by shard."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cropi.contracts import Prompts, Rollouts, Sampling
from cropi.policies.policy import Policy
from cropi.rollouts.drawing import tokens_generated
from cropi.rollouts.store import RolloutStore
from cropi.settings import Offline
from cropi.types import Cost, Group, Prompt


def offline_sets(
    prompts: Prompts, offline: Offline, *, validation: bool
) -> dict[str, tuple[Sequence[Prompt], int]]:
    """What to roll out: set name -> its prompts and the trajectories of each.

    Of a validation set the prompts with the lowest ids are used, so the choice is always the same.
    """
    sets: dict[str, tuple[Sequence[Prompt], int]] = {"train": (prompts.pool, offline.samples)}
    for name, candidates in prompts.validation.items() if validation else ():
        used = sorted(candidates, key=lambda prompt: prompt.id)[: offline.validation_prompts]
        sets[f"validation/{name}"] = (used, offline.validation_samples)
    return sets


def roll_out(
    policy: Policy,
    prompts: Sequence[Prompt],
    *,
    samples: int,
    sampling: Sampling,
    shard_prompts: int,
    rollouts: Rollouts,
    store: RolloutStore,
    advance: Callable[[int], None] = lambda prompts: None,
) -> dict[str, Group]:
    """Groups by prompt id, drawing only what the store does not hold yet.

    ``advance`` is told of the prompts done, for a progress display.
    """
    for shard, start in enumerate(range(0, len(prompts), shard_prompts)):
        chunk = prompts[start : start + shard_prompts]
        if not store.has(shard):
            began = time.perf_counter()
            groups = rollouts(
                policy, chunk, samples=samples, sampling=sampling, stream=("offline",)
            )
            cost = Cost.of(
                "offline_rollout",
                seconds=time.perf_counter() - began,
                generated_tokens=tokens_generated(groups),
                graded=len(groups) * samples,
            )
            store.write(shard, groups, cost)
        advance(len(chunk))
    return {group.prompt_id: group for group in store.groups()}


def offline_metrics(groups: Mapping[str, Group]) -> dict[str, float]:
    """What β's rollouts say of the pool: pass rate, informative share, truncation, statuses."""
    trajectories = [t for group in groups.values() for t in group.trajectories]
    rewards = np.array([np.nan if t.reward is None else t.reward for t in trajectories])
    statuses = [t.verdict.status for t in trajectories if t.verdict is not None]
    metrics = {
        "rollouts/prompts": len(groups),
        "rollouts/trajectories": len(trajectories),
        "rollouts/pass_rate": float(np.nanmean(rewards)) if (~np.isnan(rewards)).any() else 0.0,
        "rollouts/informative_share": float(np.mean([g.is_informative for g in groups.values()])),
        "rollouts/truncated_share": float(np.mean([t.truncated for t in trajectories])),
        "rollouts/mean_length": float(np.mean([len(t.token_ids) for t in trajectories])),
    }
    for status in sorted(set(statuses)):
        metrics[f"rollouts/status/{status}"] = statuses.count(status) / len(statuses)
    return metrics
