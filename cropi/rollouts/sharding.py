"""Drawing many groups shard by shard, so that a killed run draws only what is missing."""

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
    stream: tuple[str | int, ...],
    purpose: str,
    shard_prompts: int,
    rollouts: Rollouts,
    store: RolloutStore,
    advance: Callable[[int], None] = lambda prompts: None,
) -> dict[str, Group]:
    """Groups by prompt id, drawing only what the store does not hold yet.

    What a shard cost is kept with it, under ``purpose``. ``advance`` is told of the prompts done,
    for a progress display.
    """
    for shard, start in enumerate(range(0, len(prompts), shard_prompts)):
        chunk = prompts[start : start + shard_prompts]
        if not store.has(shard):
            began = time.perf_counter()
            groups = rollouts(policy, chunk, samples=samples, sampling=sampling, stream=stream)
            cost = Cost.of(
                purpose,
                seconds=time.perf_counter() - began,
                generated_tokens=tokens_generated(groups),
                graded=len(groups) * samples,
            )
            store.write(shard, groups, cost)
        advance(len(chunk))
    return {group.prompt_id: group for group in store.groups()}
