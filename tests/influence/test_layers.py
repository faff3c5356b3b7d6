"""The fast engine's formulas form no more than what was asked of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.pytorch_utils import Conv1D

from cropi.influence.layers import rule_for
from cropi.projectors.columns import Columns
from cropi.projectors.projection import ParameterShape

PROMPTS, TOKENS, IN, OUT = 3, 2, 40, 64


class Largest(TorchDispatchMode):
    """The numbers of the largest storage that any operation returns."""

    most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for item in tree_leaves(result):
            if isinstance(item, torch.Tensor):
                own = item.untyped_storage().nbytes() // item.element_size()
                self.most = max(self.most, own)
        return result


@pytest.mark.parametrize("conv", [False, True], ids=["linear", "conv1d"])
def test_a_bias_is_a_sum_and_a_restricted_weight_a_small_product(conv: bool) -> None:
    """Influence trap 12 (bergson#297): no [out, in] or [out, out] of any prompt ever exists."""
    module = Conv1D(OUT, IN) if conv else torch.nn.Linear(IN, OUT)
    shapes = [
        ParameterShape("weight", tuple(module.weight.shape), inputs_first=conv),
        ParameterShape("bias", (OUT,)),
    ]
    projection = Columns(keep=0.1, k=10_000).bind(shapes, torch.device("cpu"))
    rule = rule_for(module, {s.name: projection.restriction(s.name) for s in shapes})
    assert rule is not None
    inputs, outputs = torch.randn(PROMPTS, TOKENS, IN), torch.randn(PROMPTS, TOKENS, OUT)
    with Largest() as largest:
        found = dict(rule.contributions(outputs, rule.hold(inputs)))
    block = projection.restriction("weight").size
    assert block == OUT * IN // 10
    assert largest.most <= PROMPTS * block < OUT * OUT
    bias = projection.restriction("bias").from_gradient(outputs.sum(dim=1))
    torch.testing.assert_close(found["bias"], bias)
