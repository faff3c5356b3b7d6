"""Exact and projected cosines of the same gradients, and exact ones of half the trajectories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from cropi.influence.engine import shapes_of
from cropi.influence.estimator import Estimator
from cropi.influence.exact import Alignments
from cropi.influence.prepared import Prepared
from cropi.influence.reference import Reference
from cropi.policies.policy import Policy
from cropi.projectors.none import NoProjection
from cropi.projectors.projection import Projection
from cropi.studies.grid import Stack
from cropi.types import FloatArray


@dataclass(frozen=True)
class Scene:
    """A policy and stored groups: n prompts of the pool, and those of M validation sets."""

    policy: Policy
    estimator: Estimator
    pool: Sequence[Prepared]
    sets: Mapping[str, Sequence[Prepared]]

    def means(self, projection: Projection) -> Tensor:
        """[M, d]: each validation set's mean row."""
        found = []
        for ready in self.sets.values():
            total = torch.zeros(projection.dimension, device=self.policy.device)
            for each in Reference().gradients(self.policy, ready, projection, self.estimator):
                total += each.rows[0].float()
            found.append(total / len(ready))
        return torch.stack(found)

    def rows(self, groups: Sequence[Prepared], projection: Projection) -> Tensor:
        """[n, d] on the CPU."""
        rows = torch.empty(len(groups), projection.dimension)
        for each in Reference().gradients(self.policy, groups, projection, self.estimator):
            rows[each.places] = each.rows.float().cpu()
        return rows


def cosines(
    scene: Scene, projections: Sequence[tuple[Projection, torch.dtype]]
) -> tuple[FloatArray, list[FloatArray], Tensor]:
    """Exact [n, M]; [n, M] a projection of gradients rounded to the type beside it; and the
    validation sets' exact mean gradients [M, P]."""
    shapes = shapes_of(scene.policy)
    full = NoProjection().bind(shapes, scene.policy.device)
    stack = Stack(shapes, [(full, torch.float32), *projections])
    exact, *means = stack.split(scene.means(stack))
    both = Stack(shapes, [(Alignments(shapes, exact), torch.float32), *projections])
    products, *rows = both.split(scene.rows(scene.pool, both))
    projected = [
        torch.nn.functional.normalize(own.double(), dim=1)
        @ torch.nn.functional.normalize(mean.cpu().double(), dim=1).T
        for own, mean in zip(rows, means, strict=True)
    ]
    return _exact(products, exact), [found.numpy() for found in projected], exact


def half_cosines(scene: Scene, means: Tensor) -> tuple[FloatArray, FloatArray]:
    """Exact [n', M] from the even and from the odd trajectories of the pool's groups.

    Of the n' prompts whose halves both have differing rewards. ``means`` [M, P] are those of whole
    validation groups, so only the prompts' own noise is seen.
    """
    halves = [(half(group, 0), half(group, 1)) for group in scene.pool]
    usable = [(a, b) for a, b in halves if a is not None and b is not None]
    aligned = Alignments(shapes_of(scene.policy), means)
    even, odd = (
        _exact(scene.rows([pair[side] for pair in usable], aligned), means) for side in (0, 1)
    )
    return even, odd


def half(group: Prepared, side: int) -> Prepared | None:
    """Every second trajectory from ``side`` on; None when their rewards do not differ."""
    kept = np.arange(side, len(group.rewards), 2)
    rewards = group.rewards[kept]
    if len(kept) < 2 or rewards.max() == rewards.min():
        return None
    used, response_of = np.unique(group.response_of[kept], return_inverse=True)
    return replace(
        group,
        responses=tuple(group.responses[i] for i in used),
        response_of=response_of,
        behaviour=group.behaviour[kept],
        mask=group.mask[kept],
        rewards=rewards,
        correctness=group.correctness[kept],
    )


def _exact(products: Tensor, directions: Tensor) -> FloatArray:
    """Cosines from the rows of ``Alignments``."""
    norms = products[:, -1:].double().sqrt()
    lengths = directions.double().norm(dim=1).cpu()
    found: FloatArray = (products[:, :-1].double() / norms / lengths).numpy()
    return found
