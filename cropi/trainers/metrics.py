"""What a step's groups look like, under the names that TRL logs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cropi.advantages import varied_groups
from cropi.types import Group
from cropi.verdicts import verdict_rates


def group_metrics(groups: Sequence[Group]) -> dict[str, float]:
    """Rewards, verdicts and lengths over all completions. What is not defined is left out."""
    rewards = np.concatenate([group.rewards for group in groups])
    scored = rewards[~np.isnan(rewards)]
    trajectories = [t for group in groups for t in group.trajectories]
    lengths = np.array([len(t.token_ids) for t in trajectories])
    truncated = np.array([t.truncated for t in trajectories])
    metrics = {
        "frac_reward_zero_std": float(
            np.mean([not varied_groups(group.rewards[None])[0] for group in groups])
        ),
        "frac_unscorable": 1.0 - scored.size / rewards.size,
        "completions/clipped_ratio": float(truncated.mean()),
        **verdict_rates(groups),
    }
    if scored.size:
        metrics["reward"] = float(scored.mean())
    if scored.size > 1:
        metrics["reward_std"] = float(scored.std(ddof=1))
    for kind, some in (("", lengths), ("terminated_", lengths[~truncated])):
        if some.size:
            metrics[f"completions/mean_{kind}length"] = float(some.mean())
            metrics[f"completions/min_{kind}length"] = float(some.min())
            metrics[f"completions/max_{kind}length"] = float(some.max())
    return metrics
