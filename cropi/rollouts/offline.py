"""What is rolled out once with the starting policy, and what that says of the pool."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from cropi.contracts import Prompts, Requirement
from cropi.settings import Offline
from cropi.types import Group, Prompt
from cropi.verdicts import verdict_rates

TRAIN, VALIDATION = "train", "validation/"


def offline_sets(
    prompts: Prompts, offline: Offline, needs: Collection[Requirement]
) -> dict[str, Sequence[Prompt]]:
    """What to roll out, by set name: each set only when it is needed."""
    sets: dict[str, Sequence[Prompt]] = {}
    if "rollouts" in needs:
        sets[TRAIN] = prompts.pool
    if "validation" in needs:
        used = validation_prompts(prompts, offline)
        sets |= {f"{VALIDATION}{name}": chosen for name, chosen in used.items()}
    return sets


def validation_prompts(prompts: Prompts, offline: Offline) -> dict[str, Sequence[Prompt]]:
    """Of each validation set those with the lowest ids, so the choice is always the same."""
    return {
        name: sorted(candidates, key=lambda prompt: prompt.id)[: offline.validation_prompts]
        for name, candidates in prompts.validation.items()
    }


def samples_of(name: str, offline: Offline) -> int:
    """Trajectories a prompt of the set ``train`` or ``validation/…``."""
    return offline.samples if name == TRAIN else offline.validation_samples


def offline_metrics(groups: Mapping[str, Group]) -> dict[str, float]:
    """What β's rollouts say of the pool: pass rate, informative share, truncation, statuses."""
    trajectories = [t for group in groups.values() for t in group.trajectories]
    right = np.concatenate([group.correctness for group in groups.values()])
    return {
        "rollouts/prompts": len(groups),
        "rollouts/trajectories": len(trajectories),
        "rollouts/pass_rate": float(np.nanmean(right)) if (~np.isnan(right)).any() else 0.0,
        "rollouts/informative_share": float(np.mean([g.is_informative for g in groups.values()])),
        "rollouts/truncated_share": float(np.mean([t.truncated for t in trajectories])),
        "rollouts/mean_length": float(np.mean([len(t.token_ids) for t in trajectories])),
        **{f"rollouts/{name}": rate for name, rate in verdict_rates(groups.values()).items()},
    }
