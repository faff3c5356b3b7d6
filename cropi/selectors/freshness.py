"""Newer trajectories than β's: from training, or drawn anew for a share of the pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from cropi.contracts import SelectionContext
from cropi.runtime.errors import ConfigError, CropiError
from cropi.runtime.seeds import derive
from cropi.selectors.ranking import lottery
from cropi.types import Group, Prompt

Reuse = Literal["none", "latest", "merged"]


def joined(older: Group, newer: Group) -> Group:
    """One group of both; every trajectory keeps the log-probabilities of its own policy.

    Raises ConfigError when they were drawn at different temperatures.
    """
    if older.temperature != newer.temperature:
        raise ConfigError([
            f"selector.reuse=merged: training draws at temperature {newer.temperature} and the "
            f"stored rollouts are at {older.temperature}; set offline.sampling.temperature to "
            f"trainer.sampling.temperature, or selector.reuse=latest"
        ])
    return Group(
        older.prompt_id,
        older.prompt_token_ids,
        (*older.trajectories, *newer.trajectories),
        older.temperature,
    )


def with_training(
    stored: Mapping[str, Group], training: Mapping[str, Group], reuse: Reuse
) -> dict[str, Group]:
    """``latest`` puts a prompt's last training group in place of the stored one, ``merged`` adds
    its trajectories."""
    groups = dict(stored)
    if reuse != "none":
        for prompt_id, newer in training.items():
            older = groups.get(prompt_id)
            if reuse == "latest" or older is None:
                groups[prompt_id] = newer
            else:
                groups[prompt_id] = joined(older, newer)
    return groups


def drawn_share(pool: Sequence[Prompt], share: float, context: SelectionContext) -> list[Prompt]:
    """A share of the pool (rounded, at least one), drawn by lot in each phase, in pool order."""
    seed = derive(context.seed, "refresh", context.phase)
    count = max(1, round(share * len(pool)))
    best = sorted(pool, key=lambda prompt: (lottery(seed, prompt.id), prompt.id))[:count]
    chosen = {prompt.id for prompt in best}
    return [prompt for prompt in pool if prompt.id in chosen]


def fresh_groups(
    context: SelectionContext, name: str, prompts: Sequence[Prompt]
) -> dict[str, Group]:
    """Newly drawn groups by prompt id. Raises CropiError where nothing can be drawn."""
    if context.fresh is None:
        raise CropiError(f"fresh rollouts of {name} were asked for, and there is nothing to draw")
    return context.fresh(name, prompts)


def fresh_validation(context: SelectionContext) -> dict[str, list[Group]]:
    """Every validation set rolled out by the current policy."""
    return {
        name: list(fresh_groups(context, f"validation/{name}", prompts).values())
        for name, prompts in context.validation_prompts.items()
    }
