"""The fast engine: weights frozen, only the needed part of each weight gradient ever formed.

Autograd then sends gradients to activations only. A forward hook keeps what a layer's restriction
wants of the input (a tenth of the columns, say), a tensor hook on the output receives the gradient
there, and their product over a prompt's tokens is the restricted gradient: most of the work of
weight gradients is never done. Several prompts share a pass when each has a row of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cropi.influence.engine import Collector, Engine
from cropi.influence.layers import Rule, rule_for
from cropi.influence.layout import Layout
from cropi.policies.policy import Policy
from cropi.projectors.projection import Projection
from cropi.runtime.errors import CropiError
from cropi.runtime.parts import part

# Numbers of one parameter's restricted gradients over all prompts of a pass: 64 MB in float32.
MOST_VALUES = 16 * 2**20


@part
class Fast(Engine):
    """For linear layers, embeddings, layer and RMS norms; refuses a model with others by name."""

    def prompts_a_pass(self, policy: Policy, projection: Projection) -> int:
        largest = max(projection.restriction(name).size for name, _ in policy.trainable())
        return max(1, MOST_VALUES // max(largest, 1))

    @contextmanager
    def collector(self, policy: Policy, projection: Projection) -> Iterator[Collector]:
        parameters = dict(policy.trainable())
        forming = _Forming(policy, projection, parameters)
        for parameter in parameters.values():
            parameter.requires_grad_(False)
        handles = forming.listen()
        try:
            yield forming
        finally:
            for handle in handles:
                handle.remove()
            for parameter in parameters.values():
                parameter.requires_grad_(True)


class _Forming(Collector):
    def __init__(
        self,
        policy: Policy,
        projection: Projection,
        parameters: dict[str, torch.nn.Parameter],
    ) -> None:
        self.projection = projection
        self.parameters = parameters
        self.like = next(iter(parameters.values()))
        self.spots = list(_spots(policy, projection, parameters))
        self.reached: set[str] = set()

    def listen(self) -> list[Any]:
        return [spot.module.register_forward_hook(partial(self._met, spot)) for spot in self.spots]

    def begin(self, layout: Layout) -> None:
        self.groups = len(layout.groups)
        self.lines = layout.ids.shape[0]
        self.rows = self.projection.zeros(self.groups, self.like)
        self.in_backward = False
        self.met: set[_Spot] = set()
        self.pending: Counter[str] = Counter()
        self.sums: dict[str, Tensor] = {}

    def backward(self, log_probs: Tensor, coefficients: Tensor) -> Tensor:
        self.in_backward = True
        log_probs.backward(coefficients)
        return self.rows

    def unseen(self) -> list[str]:
        return [name for name in self.parameters if name not in self.reached]

    def _met(self, spot: _Spot, module: Any, arguments: tuple[Any, ...], output: Tensor) -> None:
        """A layer has run. Under checkpointing it runs again inside the backward pass.

        A recomputation of what was heard the first time is ignored; reentrant checkpointing runs
        the first time without gradients, so there the recomputation is what counts.
        """
        if not torch.is_grad_enabled() or (self.in_backward and spot in self.met):
            return
        if not self.in_backward:
            self.met.add(spot)
        if not output.requires_grad:
            output.requires_grad_()  # nothing before it is trained: the graph begins here
        for name in spot.names.values():
            self.pending[name] += 1
        held = spot.rule.hold(arguments[0].detach())
        output.register_hook(partial(self._arrived, spot, held))

    def _arrived(self, spot: _Spot, held: Tensor, gradient: Tensor) -> None:
        wide = torch.promote_types(gradient.dtype, torch.float32)
        outputs = self._by_prompt(spot, gradient).to(wide)
        inputs = self._by_prompt(spot, held)
        inputs = inputs.to(wide) if inputs.is_floating_point() else inputs
        for own, values in spot.rule.contributions(outputs, inputs):
            self._take(spot.names[own], values)

    def _take(self, name: str, values: Tensor) -> None:
        """Hand on a parameter's gradient when all its uses in this pass have come in."""
        self.reached.add(name)
        self.pending[name] -= 1
        if name in self.sums:
            values = self.sums.pop(name) + values
        if self.pending[name]:
            self.sums[name] = values
        else:
            self.projection.add(self.rows, name, values)

    def _by_prompt(self, spot: _Spot, tensor: Tensor) -> Tensor:
        """[R, …, F] as [B, N, F]."""
        if self.groups > 1 and tensor.shape[0] != self.lines:
            raise CropiError(
                f"{spot.path} mixes the tokens of several prompts; set engine.batch_tokens=1, "
                f"or engine=reference"
            )
        return tensor.reshape(self.groups, -1, tensor.shape[-1])


class _Spot:
    """A module with trainable parameters of its own, its rule, and the parameters' full names."""

    def __init__(self, path: str, module: Any, rule: Rule, names: dict[str, str]) -> None:
        self.path = path
        self.module = module
        self.rule = rule
        self.names = names


def _spots(
    policy: Policy, projection: Projection, parameters: dict[str, torch.nn.Parameter]
) -> Iterator[_Spot]:
    names = {id(parameter): name for name, parameter in parameters.items()}
    for path, module in policy.model.named_modules():
        own = {
            short: names[id(parameter)]
            for short, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
            if id(parameter) in names
        }
        if not own:
            continue
        rule = rule_for(module, {short: projection.restriction(n) for short, n in own.items()})
        if rule is None:
            raise CropiError(
                f"engine=fast has no formula for {path or 'the model'} ({type(module).__name__}), "
                f"which owns {', '.join(own.values())}; use engine=reference"
            )
        yield _Spot(path, module, rule, own)
