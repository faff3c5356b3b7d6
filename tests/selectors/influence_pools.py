"""Small pools of hand-made groups, selectors that score them exactly, and autograd's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from influence_cases import (
    EOS,
    autograd_gradient,
    group_of,
    paper_objective,
    policy_of,
    random_group,
)

from cropi.contracts import SelectionContext
from cropi.influence.fast import Fast
from cropi.projectors.none import NoProjection
from cropi.selectors.cropi import Cropi
from cropi.types import Group, Prompt, Scores, Verdict

POLICY = policy_of("llama", torch.float32)
WIDE = policy_of("llama")  # the same weights in float64
DEAD = group_of("dead", [1], [[2, EOS], [3, EOS]], [1.0, 1.0], [[-1.0] * 2] * 2)
OVERFLOWS = group_of("overflows", [1, 2], [[3], [4]], [1.0, 0.0], [[-500.0], [-1.0]])
LIVE = [random_group(seed) for seed in range(8)]
SETS = {"A": [random_group(40), random_group(41)], "B": [random_group(42)]}
TARGET = SETS["A"][0]


def prompt(name: str) -> Prompt:
    return Prompt(name, name, ("1",), "hand")


def named(group: Group, name: str) -> Group:
    return replace(group, prompt_id=name)


def flipped(group: Group, name: str) -> Group:
    """Right and wrong exchanged: the opposite gradient."""
    trajectories = tuple(
        replace(t, verdict=Verdict(1.0 - float(t.reward or 0.0), "ok", "hand"))
        for t in group.trajectories
    )
    return replace(group, prompt_id=name, trajectories=trajectories)


PLANTED = [
    flipped(TARGET, "against"), random_group(1), DEAD, random_group(2), named(TARGET, "same"),
    random_group(3),
]  # fmt: skip


def pool_of(groups: Sequence[Group]) -> tuple[list[Prompt], dict[str, Group]]:
    return [prompt(g.prompt_id) for g in groups], {g.prompt_id: g for g in groups}


def context(groups: Mapping[str, Group], validation: Any, **more: Any) -> SelectionContext:
    return SelectionContext(
        phase=more.pop("phase", 0), seed=0, policy=POLICY, rollouts=groups, validation=validation,
        **more,
    )  # fmt: skip


def cropi(**options: Any) -> Cropi:
    options = {"projector": NoProjection(), "engine": Fast(), "alpha": 0.5, **options}
    return Cropi(**options)


def scored(
    groups: Sequence[Group] = LIVE, sets: Mapping[str, Sequence[Group]] = SETS, *,
    given: Mapping[str, Any] | None = None, **options: Any,
) -> Scores:  # fmt: skip
    pool, by_id = pool_of(groups)
    return cropi(**options).score(pool, context(by_id, sets, **(given or {})))


# ── what the current policy would draw ───────────────────────────────────────────────────────

POOL, GROUPS = pool_of(LIVE)
PROMPTS = {name: [prompt(group.prompt_id) for group in groups] for name, groups in SETS.items()}
KNOWN = {**GROUPS, **{group.prompt_id: group for groups in SETS.values() for group in groups}}


class Draws:
    """The current policy's rollouts, as far as the selector can tell; what was asked is kept."""

    def __init__(self, known: dict[str, Group] | None = None) -> None:
        self.known = known or KNOWN
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def __call__(self, name: str, prompts: Sequence[Prompt]) -> dict[str, Group]:
        self.asked.append((name, tuple(p.id for p in prompts)))
        return {p.id: self.known[p.id] for p in prompts}


# ── autograd's answers, in float64 ───────────────────────────────────────────────────────────


def gradients(groups: Sequence[Group], objective: Any = paper_objective) -> np.ndarray:
    return torch.stack([autograd_gradient(WIDE, group, objective) for group in groups]).numpy()


def mean_gradients(
    sets: Mapping[str, Sequence[Group]], objective: Any = paper_objective
) -> np.ndarray:
    return np.stack([gradients(groups, objective).mean(axis=0) for groups in sets.values()])


def cosines(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (
        rows @ others.T
        / np.linalg.norm(rows, axis=1)[:, None] / np.linalg.norm(others, axis=1)
    )  # fmt: skip


def exact_cosines(groups: Sequence[Group], sets: Mapping[str, Sequence[Group]]) -> np.ndarray:
    return cosines(gradients(groups), mean_gradients(sets))


MEANS = mean_gradients(SETS)
