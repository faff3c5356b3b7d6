"""Inner products without a backward pass: how J changes along a validation gradient.

For a direction v of length 1, ⟨∇J, v⟩ = Σ c_e d log π_e/dv, and the derivative of every token's
log-probability is a central difference of two forward passes at θ ± step · v. The coefficients c
are taken at the two passes' mean, which is that at θ up to step². No norms, hence no cosine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from cropi.influence.engine import Collector, Engine, Gradients, layout_of
from cropi.influence.estimator import Estimator
from cropi.influence.exact import Alignments
from cropi.influence.layout import Layout
from cropi.influence.passes import columns_of, edge_coefficients, edge_log_probs
from cropi.influence.plan import Pass, Work, batches
from cropi.influence.prepared import Prepared
from cropi.influence.reference import Reference
from cropi.policies.policy import Policy
from cropi.projectors.projection import Projection
from cropi.runtime.errors import CropiError
from cropi.runtime.parts import part

Step = Annotated[float, Field(gt=0.0)]


@part
class Directional(Engine):
    """Central differences along the validation gradients, which the reference engine computes.

    ``step`` is the distance moved in weight space: a longer one bends, a shorter one drowns in
    float32's rounding. Needs ``projector=none`` and a plain inner product.
    """

    step: Step = 0.01

    def collector(
        self, policy: Policy, projection: Projection
    ) -> AbstractContextManager[Collector]:
        return Reference(prefix=self.prefix, batch_tokens=self.batch_tokens).collector(
            policy, projection
        )

    def passes(
        self, policy: Policy, groups: Sequence[Prepared], projection: Projection
    ) -> list[Pass]:
        if not isinstance(projection, Alignments):
            return super().passes(policy, groups, projection)
        return list(batches(
            groups, prefix=self.prefix_for(policy), work=Work.of(policy.model),
            batch_tokens=self.batch_tokens, most=len(groups), several_repeated=True,
        ))  # fmt: skip

    def gradients(
        self,
        policy: Policy,
        groups: Sequence[Prepared],
        projection: Projection,
        estimator: Estimator,
        passes: Sequence[Pass] | None = None,
    ) -> Iterator[Gradients]:
        """Rows ⟨g, v_1⟩ … ⟨g, v_M⟩ and 0 for the norm, when ``projection`` is ``Alignments``.

        Anything else (the validation gradients themselves) is computed by backward passes.
        """
        if not isinstance(projection, Alignments):
            yield from super().gradients(policy, groups, projection, estimator, passes)
            return
        narrow = {str(p.dtype) for _, p in policy.trainable()} & {"torch.bfloat16", "torch.float16"}
        if narrow:
            raise CropiError(
                f"engine=directional moves the weights by {self.step} in all, which {narrow.pop()} "
                f"cannot hold; set model.dtype=float32, or use engine=fast"
            )
        chosen = self.passes(policy, groups, projection) if passes is None else passes
        layouts = [layout_of(each, groups, policy) for each in chosen]
        slopes = [self._slopes(policy, projection, m, layouts) for m in range(projection.sets)]
        for place, (each, layout) in enumerate(zip(chosen, layouts, strict=True)):
            yield _gradients(
                list(each.places), layout, [of_set[place] for of_set in slopes], estimator
            )

    @torch.no_grad()
    def _slopes(
        self,
        policy: Policy,
        projection: Alignments,
        chosen: int,
        layouts: Sequence[Layout],
    ) -> list[tuple[Tensor, Tensor, float]]:
        """(log-probs, their slope, passes) along one direction of its own length, a pass each."""
        direction = {name: v[chosen] for name, v in projection.directions.items()}
        length = float(sum(v.double().square().sum() for v in direction.values()).sqrt())
        if length == 0.0:
            at = [edge_log_probs(policy.model, layout) for layout in layouts]
            return [(values, torch.zeros_like(values), 1.0) for values in at]
        with _moved(policy, direction, self.step / length):
            above = [edge_log_probs(policy.model, layout) for layout in layouts]
        with _moved(policy, direction, -self.step / length):
            below = [edge_log_probs(policy.model, layout) for layout in layouts]
        return [
            ((up + down) / 2, (up - down) * (length / (2 * self.step)), 2.0)
            for up, down in zip(above, below, strict=True)
        ]


@contextmanager
def _moved(policy: Policy, direction: dict[str, Tensor], by: float) -> Iterator[None]:
    """θ + by · direction while open; the very bits of θ after."""
    parameters = dict(policy.trainable())
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    try:
        for name, parameter in parameters.items():
            parameter.add_(direction[name].view_as(parameter).to(parameter.dtype), alpha=by)
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.copy_(before[name])


def _gradients(
    places: list[int],
    layout: Layout,
    slopes: Sequence[tuple[Tensor, Tensor, float]],
    estimator: Estimator,
) -> Gradients:
    rows = torch.zeros(len(places), len(slopes) + 1, dtype=slopes[0][0].dtype)
    for chosen, (log_probs, slope, _) in enumerate(slopes):
        coefficients, told = edge_coefficients(layout, log_probs, estimator)
        for row, edges in enumerate(layout.edges_of):
            own = edges[torch.from_numpy(layout.groups[row].mask)].unique()
            rows[row, chosen] = (coefficients[own].double() * slope[own].double()).sum()
    columns = {name: np.array(values) for name, values in columns_of(told).items()}
    columns["finite"] = columns["finite"] * torch.isfinite(rows).all(dim=1).numpy()
    forward = sum(count for _, _, count in slopes)
    columns["forward_tokens"] = forward * np.array(layout.inputs, dtype=np.float64)
    columns["backward_tokens"] = np.zeros(len(places))
    return Gradients(places, torch.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0), columns)
