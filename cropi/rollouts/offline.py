"""Offline rollouts: every prompt once with the behaviour policy, shard by shard."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from cropi.contracts import Rollouts, Sampling
from cropi.policies.policy import Policy
from cropi.rollouts.drawing import tokens_generated
from cropi.rollouts.store import RolloutStore
from cropi.types import Cost, Group, Prompt


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
