"""Padding can be told to see nothing; no place of a pass may become NaN for that."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from influence_cases import (
    EOS,
    PAD,
    group_of,
    policy_of,
    prepared,
    random_group,
    relative_error,
    rows_of,
)
from torch import Tensor

from cropi.influence.engine import Engine
from cropi.influence.fast import Fast
from cropi.influence.layout import shared
from cropi.influence.passes import edge_log_probs
from cropi.influence.reference import Reference
from cropi.policies.logprobs import TokenBatch, token_log_probs
from cropi.policies.policy import Policy

SHORT = group_of("short", [1], [[EOS], [3]], [1.0, 0.0], [[-1.0], [-1.0]])
LONG = random_group(4, samples=8, longest=9)


def policy_with(attention: str) -> Policy:
    policy = policy_of("llama", torch.float32)
    policy.model.set_attn_implementation(attention)
    return policy


def hidden_states(policy: Policy) -> list[Tensor]:
    """What every layer's attention returns from now on, at every place."""
    heard: list[Tensor] = []

    def hear(module: Any, arguments: Any, output: Any) -> None:
        heard.append(output[0].detach())

    for layer in policy.model.model.layers:
        layer.self_attn.register_forward_hook(hear)
    return heard


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    "engine", [Fast(prefix="shared"), Fast(prefix="repeated"), Reference(prefix="repeated")],
    ids=["fast, one row each", "fast", "reference"],
)  # fmt: skip
def test_a_padded_pass_is_finite_everywhere(engine: Engine, attention: str) -> None:
    """Influence trap 27 (transformers#32390)."""
    policy = policy_with(attention)
    heard = hidden_states(policy)
    rows = rows_of(engine, policy, prepared(SHORT, LONG))
    assert rows.isfinite().all()
    assert rows.any(dim=1).all()
    assert all(states.isfinite().all() for states in heard)
    alone = rows_of(engine, policy, prepared(SHORT))
    assert relative_error(rows[0], alone[0]) < 1e-4


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_no_row_of_a_trees_mask_is_empty(attention: str) -> None:
    """Influence trap 27: an empty row is 0/0 wherever closed means −∞."""
    layout = shared(prepared(SHORT, LONG), PAD)
    assert layout.ids.shape[1] > 2 * layout.inputs[0]
    assert layout.attention.any(dim=-1).all()
    with torch.no_grad():
        assert edge_log_probs(policy_with(attention).model, layout).isfinite().all()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_left_padding_of_training_batches_is_finite(attention: str) -> None:
    """Influence trap 27: places before a prompt can see no token at all."""
    policy = policy_with(attention)
    heard = hidden_states(policy)
    batch = TokenBatch.of([[1], [1, 2, 3, 4, 5, 6]], [[3, EOS], [4]], pad_id=PAD)
    values = token_log_probs(policy.model, batch).values
    values.sum().backward()
    assert all(states.isfinite().all() for states in heard)
    assert all(p.grad is not None and p.grad.isfinite().all() for _, p in policy.trainable())
