"""The reference engine: autograd's own gradient of every parameter, taken the moment it is whole.

A post-accumulate hook on each unique parameter takes the needed numbers and drops the rest, so at
most one parameter's gradient exists at a time. Any kind of layer, tied weights once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from cropi.influence.engine import Collector, Engine
from cropi.influence.layout import Layout
from cropi.policies.policy import Policy
from cropi.projectors.projection import Projection
from cropi.runtime.parts import part


@part
class Reference(Engine):
    """Works for every model; one prompt a backward pass."""

    @contextmanager
    def collector(self, policy: Policy, projection: Projection) -> Iterator[Collector]:
        parameters = dict(policy.trainable())
        before = {name: parameter.grad for name, parameter in parameters.items()}
        taking = _Taking(parameters, projection)
        handles = [
            parameter.register_post_accumulate_grad_hook(partial(taking.take, name))
            for name, parameter in parameters.items()
        ]
        for parameter in parameters.values():
            parameter.grad = None
        try:
            yield taking
        finally:
            for handle in handles:
                handle.remove()
            for name, parameter in parameters.items():
                parameter.grad = before[name]


class _Taking(Collector):
    def __init__(
        self, parameters: dict[str, torch.nn.Parameter], projection: Projection
    ) -> None:
        self.parameters = parameters
        self.projection = projection
        self.restrictions = {name: projection.restriction(name) for name in parameters}
        self.like = next(iter(parameters.values()))
        self.seen: set[str] = set()

    def begin(self, layout: Layout) -> None:
        self.rows = self.projection.zeros(1, self.like)

    def take(self, name: str, parameter: Tensor) -> None:
        gradient, parameter.grad = parameter.grad, None
        assert gradient is not None
        values = self.restrictions[name].from_gradient(gradient.unsqueeze(0))
        self.projection.add(self.rows, name, values)
        self.seen.add(name)

    def backward(self, log_probs: Tensor, coefficients: Tensor) -> Tensor:
        log_probs.backward(coefficients)
        return self.rows

    def unseen(self) -> list[str]:
        return [name for name in self.parameters if name not in self.seen]
