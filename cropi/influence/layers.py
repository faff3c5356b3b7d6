"""Per-prompt parameter gradients of known layers from what goes in and the gradient coming back.

Every rule is linear algebra over [B, N, ·]: B prompts, N token places. Sums are over N only, so
one backward pass serves B prompts. What a rule does not know is refused by name, never skipped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cropi.projectors.projection import Restriction

Contribution = tuple[str, Tensor]  # the module's own name of a parameter, values [B, size]


class Rule(ABC):
    """A layer's formula. ``restrictions`` are those of its own trainable parameters, by name."""

    def __init__(self, module: Any, restrictions: dict[str, Restriction]) -> None:
        self.module = module
        self.restrictions = restrictions

    def hold(self, inputs: Tensor) -> Tensor:
        """What of the input is needed later, [R, …, ·]."""
        return inputs

    @abstractmethod
    def contributions(self, outputs: Tensor, held: Tensor) -> Iterator[Contribution]:
        """From gradients at the output [B, N, ·] and what was held [B, N, ·]."""

    def _bias(self, outputs: Tensor) -> Iterator[Contribution]:
        if "bias" in self.restrictions:
            yield "bias", self.restrictions["bias"].from_gradient(outputs.sum(dim=1))


class Affine(Rule):
    """nn.Linear, and GPT-2's Conv1D, whose weight is stored [in, out]."""

    def hold(self, inputs: Tensor) -> Tensor:
        weight = self.restrictions.get("weight")
        return inputs[..., :0] if weight is None else weight.keep_inputs(inputs)

    def contributions(self, outputs: Tensor, held: Tensor) -> Iterator[Contribution]:
        if "weight" in self.restrictions:
            yield "weight", self.restrictions["weight"].from_factors(outputs, held)
        yield from self._bias(outputs)


class Embedding(Rule):
    """nn.Embedding: each output gradient belongs to the row of its id, but for ``padding_idx``."""

    def hold(self, inputs: Tensor) -> Tensor:
        return inputs.unsqueeze(-1)

    def contributions(self, outputs: Tensor, held: Tensor) -> Iterator[Contribution]:
        if self.module.padding_idx is not None:
            outputs = outputs.masked_fill(held == self.module.padding_idx, 0.0)
        yield "weight", self.restrictions["weight"].from_rows(held.squeeze(-1), outputs)


class Norm(Rule):
    """LayerNorm and RMSNorm: gradient times the normalised input, which is computed again."""

    def contributions(self, outputs: Tensor, held: Tensor) -> Iterator[Contribution]:
        if "weight" in self.restrictions:
            normal = _normal(self.module, held.to(self.module.weight.dtype)).to(outputs.dtype)
            yield "weight", self.restrictions["weight"].from_gradient(
                (outputs * normal).sum(dim=1)
            )
        yield from self._bias(outputs)


@torch.no_grad()
def _normal(module: Any, inputs: Tensor) -> Tensor:
    """The module's own output at weight 1 and bias 0: its own arithmetic, whatever that is."""
    plain = {"weight": torch.ones_like(module.weight)}
    if getattr(module, "bias", None) is not None:
        plain["bias"] = torch.zeros_like(module.bias)
    normal: Tensor = torch.func.functional_call(module, plain, (inputs,))
    return normal


def _is_plain_norm(module: Any) -> bool:
    """Whether the output is weight · normal + bias; some norms add 1 to the weight, say."""
    weight = getattr(module, "weight", None)
    if weight is None or weight.ndim != 1:
        return False
    steps = torch.arange(2 * len(weight), dtype=torch.float64, device=weight.device)
    probe = torch.sin(steps).reshape(2, -1).to(weight.dtype)
    with torch.no_grad():
        expected = weight * _normal(module, probe)
        if getattr(module, "bias", None) is not None:
            expected = expected + module.bias
        return bool(torch.allclose(module(probe), expected, rtol=1e-2, atol=1e-2))


def rule_for(module: Any, restrictions: dict[str, Restriction]) -> Rule | None:
    """The rule of a module with these trainable parameters of its own; None when unknown."""
    kind = type(module)
    if set(restrictions) <= {"weight", "bias"}:
        if kind is nn.Linear or kind.__name__ == "Conv1D":
            return Affine(module, restrictions)
        if kind is nn.Embedding and module.max_norm is None and not module.scale_grad_by_freq:
            return Embedding(module, restrictions)
        if kind.__name__.endswith(("LayerNorm", "RMSNorm")) and _is_plain_norm(module):
            return Norm(module, restrictions)
    return None
