"""The gradient engines' contract: stored groups in, one projected gradient a prompt out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cropi.contracts import PositiveInt
from cropi.influence.estimator import Estimator
from cropi.influence.layout import Layout, repeated, shared
from cropi.influence.passes import columns_of, edge_coefficients, edge_log_probs
from cropi.influence.plan import Pass, Prefix, Work, batches, takes_a_tree
from cropi.influence.prepared import Prepared
from cropi.policies.policy import Policy
from cropi.projectors.projection import ParameterShape, Projection
from cropi.runtime.errors import CropiError
from cropi.runtime.parts import Part, part
from cropi.types import FloatArray


@dataclass(frozen=True)
class Gradients:
    """The rows of one pass.

    places [B] say which groups; rows [B, dimension] float32 or float64; columns are named numbers
    a group: those of ``Drift``, ``finite`` (0: the row is zero and means nothing),
    ``forward_tokens`` and ``backward_tokens``.
    """

    places: list[int]
    rows: Tensor
    columns: dict[str, FloatArray]


class Collector(ABC):
    """Listens to backward passes and adds up what reaches the parameters, projected."""

    @abstractmethod
    def begin(self, layout: Layout) -> None:
        """Called before the forward pass over a layout."""

    @abstractmethod
    def backward(self, log_probs: Tensor, coefficients: Tensor) -> Tensor:
        """rows [B, dimension] of Σ_e coefficients[e] ∇ log_probs[e]."""

    @abstractmethod
    def unseen(self) -> list[str]:
        """Trainable parameters that no gradient has reached in any pass so far."""


@part
class Engine(Part, ABC):
    """Exact gradients of J for prompt after prompt, restricted and sketched as they arise.

    ``prefix``: compute a prompt (and any common beginning of its responses) once for all of them
    (``shared``), once for each (``repeated``), or whichever needs fewer multiplications
    (``auto``). ``batch_tokens`` bounds the padded tokens of a pass that holds several prompts.
    """

    prefix: Prefix = "auto"
    batch_tokens: PositiveInt = 2048

    @abstractmethod
    def collector(
        self, policy: Policy, projection: Projection
    ) -> AbstractContextManager[Collector]:
        """Hooks in place while the context is open; policy and gradients are as before after."""

    def prompts_a_pass(self, policy: Policy, projection: Projection) -> int:
        """How many prompts a shared pass may hold."""
        return 1

    def prefix_for(self, policy: Policy) -> Prefix:
        """``prefix``, but repeated where the attention cannot follow a tree's mask.

        Raises CropiError when that contradicts ``prefix=shared``.
        """
        if takes_a_tree(policy.model):
            return self.prefix
        if self.prefix == "shared":
            raise CropiError(
                "engine.prefix=shared needs an attention that takes any mask; "
                "set model.attention=sdpa, or engine.prefix=auto"
            )
        return "repeated"

    def passes(
        self, policy: Policy, groups: Sequence[Prepared], projection: Projection
    ) -> list[Pass]:
        """How the groups are cut into passes: by their order and lengths alone.

        Whoever computes some of the passes, anywhere, gets the bits that all of them would give.
        """
        return list(batches(
            groups,
            prefix=self.prefix_for(policy),
            work=Work.of(policy.model),
            batch_tokens=self.batch_tokens,
            most=self.prompts_a_pass(policy, projection),
        ))  # fmt: skip

    def gradients(
        self,
        policy: Policy,
        groups: Sequence[Prepared],
        projection: Projection,
        estimator: Estimator,
        passes: Sequence[Pass] | None = None,
    ) -> Iterator[Gradients]:
        """One row a group, pass by pass; all of ``passes(…)``, or those given.

        Raises CropiError naming a trainable parameter that no gradient reached, and a layer that
        the engine does not know.
        """
        if passes is None:
            passes = self.passes(policy, groups, projection)
        with self.collector(policy, projection) as collector:
            for number, each in enumerate(passes, start=1):
                found = _one_pass(
                    each, layout_of(each, groups, policy), policy, collector, estimator
                )
                # Before the last rows are handed on: a second start must not find them all there.
                if number == len(passes) and (unseen := collector.unseen()):
                    raise CropiError(
                        f"no gradient reached {', '.join(unseen[:3])} in any of {number} passes"
                        + (f" ({len(unseen)} such parameters)" if len(unseen) > 3 else "")
                        + "; freeze what the model does not use, or use an adapter"
                    )
                yield found


def layout_of(each: Pass, groups: Sequence[Prepared], policy: Policy) -> Layout:
    lay = shared if each.shared else repeated
    return lay([groups[place] for place in each.places], policy.pad_id)


@torch.enable_grad()
def _one_pass(
    each: Pass,
    layout: Layout,
    policy: Policy,
    collector: Collector,
    estimator: Estimator,
) -> Gradients:
    collector.begin(layout)
    log_probs = edge_log_probs(policy.model, layout)
    coefficients, told = edge_coefficients(layout, log_probs.detach(), estimator)
    rows = collector.backward(log_probs, coefficients)
    return _finished(list(each.places), rows, layout, columns_of(told))


def _finished(
    places: list[int], rows: Tensor, layout: Layout, columns: dict[str, list[float]]
) -> Gradients:
    """Zero the rows that are not finite, and count the tokens."""
    named = {name: np.array(values) for name, values in columns.items()}
    finite = torch.isfinite(rows).all(dim=1)
    if not bool(finite.all()):
        rows = torch.where(finite.unsqueeze(1), rows, 0.0)
    named["finite"] = named["finite"] * finite.cpu().numpy()
    named["forward_tokens"] = named["backward_tokens"] = np.array(layout.inputs, dtype=np.float64)
    return Gradients(places, rows, named)


def shapes_of(policy: Policy) -> list[ParameterShape]:
    """The trainable parameters, each tied weight once, with GPT-2's transposed ones marked."""
    flipped = {
        id(module.weight)
        for module in policy.model.modules()
        if type(module).__name__ == "Conv1D" and hasattr(module, "nf")
    }
    return [
        ParameterShape(name, tuple(parameter.shape), inputs_first=id(parameter) in flipped)
        for name, parameter in policy.trainable()
    ]
