"""Both gradient engines against float64 autograd of the paper's objective as written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from influence_cases import (
    EOS,
    FAMILIES,
    autograd_gradient,
    checkpointing,
    group_of,
    policy_of,
    prepared,
    random_group,
    relative_error,
    rows_of,
    whole,
    wrap,
)

from cropi.influence.engine import Engine
from cropi.influence.fast import Fast
from cropi.influence.reference import Reference
from cropi.runtime.errors import CropiError

ENGINES: dict[str, type[Engine]] = {"reference": Reference, "fast": Fast}


@pytest.fixture(params=ENGINES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def engine_of(kind: str, **options: Any) -> Engine:
    return ENGINES[kind](**options)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prefix", ["shared", "repeated"])
def test_equals_autograd(kind: str, family: str, prefix: str) -> None:
    """Tied and untied heads, GQA, biases, Conv1D; the oracle pads on the left, or not at all.

    Influence traps 10 and 11: float64 throughout, and Conv1D's square layers the right way round.
    """
    policy = policy_of(family)
    groups = [random_group(seed) for seed in range(4)]
    rows = rows_of(engine_of(kind, prefix=prefix), policy, prepared(*groups))
    for row, group in zip(rows, groups, strict=True):
        for one_by_one in (False, True):
            expected = autograd_gradient(policy, group, one_by_one=one_by_one)
            assert relative_error(row, expected) < 1e-9
    assert relative_error(rows[1], autograd_gradient(policy, groups[0])) > 0.1


@pytest.mark.parametrize("kept", [1, 2, 17])
def test_prompts_of_a_pass_do_not_touch_each_other(kept: int) -> None:
    """Influence traps 2, 4 and 21: alone or among others, the same vector."""
    policy = policy_of("llama")
    groups = prepared(*[random_group(seed) for seed in range(17)])
    together = rows_of(Fast(prefix="shared", batch_tokens=4096), policy, groups)
    alone = [rows_of(Fast(prefix="shared"), policy, [group])[0] for group in groups[:kept]]
    for row, expected in zip(together, alone, strict=False):
        assert relative_error(row, expected) < 1e-12


def test_calls_of_any_size_give_the_same_bits() -> None:
    """Influence trap 2: 1, 3, 8, 17 prompts a call."""
    policy = policy_of("qwen2", torch.float32)
    groups = prepared(*[random_group(seed) for seed in range(17)])
    engine = Reference()
    whole = rows_of(engine, policy, groups)
    for size in (1, 3, 8):
        parts = [rows_of(engine, policy, groups[i : i + size]) for i in range(0, 17, size)]
        assert torch.equal(torch.cat(parts), whole)


def test_padding_is_no_part_of_anything(kind: str) -> None:
    """Influence trap 14: a long companion pads the short response; its vector stays."""
    policy = policy_of("llama")
    short, long = [3, EOS], [4, 5, 6, 7, 8, 9, 1, 2, EOS]
    two = group_of("a", [1, 2], [short, long], [1.0, 0.0], [[-1.0] * 2, [-1.0] * 9])
    rows = rows_of(engine_of(kind, prefix="repeated"), policy, prepared(two))
    assert relative_error(rows[0], autograd_gradient(policy, two, one_by_one=True)) < 1e-9


def test_repeats_are_computed_once(kind: str) -> None:
    """Merged by weight: the same gradient from fewer tokens, each with its own β and reward."""
    policy = policy_of("llama")
    same = [5, 6, EOS]
    group = group_of(
        "a", [1, 2, 3], [same, same, same, [7, EOS]], [1.0, 0.0, 1.0, 0.0],
        [[-1.0, -2.0, -0.5], [-0.3, -0.4, -0.9], [-1.1, -0.2, -0.8], [-0.6, -0.7]],
    )  # fmt: skip
    (ready,) = prepared(group)
    assert len(ready.responses) == 2
    for prefix in ("shared", "repeated"):
        engine = engine_of(kind, prefix=prefix)
        (part,) = engine.gradients(policy, [ready], whole(policy), _paper())
        assert relative_error(part.rows[0], autograd_gradient(policy, group)) < 1e-9
        # The last token of a response is no input: 5, 5-6 and 7 behind one prompt, or two rows.
        tokens = {"shared": 3 + 3, "repeated": (3 + 2) + (3 + 1)}[prefix]
        assert part.columns["forward_tokens"][0] == tokens


def _paper() -> Any:
    from cropi.influence.estimator import Estimator

    return Estimator()


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_gradient_checkpointing_changes_nothing(kind: str, family: str, reentrant: bool) -> None:
    """Influence traps 17 and 18."""
    policy = policy_of(family)
    groups = prepared(*[random_group(seed) for seed in range(3)])
    engine = engine_of(kind)
    plain = rows_of(engine, policy, groups)
    with checkpointing(policy, reentrant=reentrant):
        again = rows_of(engine, policy, groups)
    assert relative_error(again, plain) < 1e-10


def test_lora(kind: str) -> None:
    """Only the adapter has gradients, and its first layer has nothing trained before it."""
    import peft

    torch.manual_seed(1)
    model = peft.get_peft_model(
        policy_of("llama").model,
        peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules="all-linear", lora_dropout=0.0),
    ).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    policy = wrap(model.double())
    assert all("lora" in name for name, _ in policy.trainable())
    groups = [random_group(seed) for seed in range(3)]
    rows = rows_of(engine_of(kind), policy, prepared(*groups))
    for row, group in zip(rows, groups, strict=True):
        assert relative_error(row, autograd_gradient(policy, group)) < 1e-9


def test_the_policy_is_left_as_it_was(kind: str) -> None:
    policy = policy_of("llama", torch.float32)
    for _, parameter in policy.trainable():
        parameter.grad = torch.ones_like(parameter)
    before = policy.fingerprint()
    engine = engine_of(kind)
    list(engine.gradients(policy, prepared(random_group(0)), whole(policy), _paper()))
    assert policy.fingerprint() == before
    assert all(p.requires_grad for _, p in policy.trainable())
    assert all(torch.equal(p.grad, torch.ones_like(p)) for _, p in policy.trainable())
    assert not policy.model.model.layers[0].mlp.up_proj._forward_hooks


def test_a_parameter_without_gradient_is_named() -> None:
    """Influence trap 15: never skipped silently."""
    for kind in ENGINES:
        policy = policy_of("llama")
        policy.model.unused = torch.nn.Linear(3, 3).double()
        with pytest.raises(CropiError, match=r"unused\.weight"):
            rows_of(engine_of(kind), policy, prepared(random_group(0)))


def test_a_layer_that_goes_round_its_module_is_named() -> None:
    """Influence trap 15: functional use of a weight, which no module hook can hear."""
    policy = policy_of("llama")
    projection = policy.model.model.layers[0].mlp.up_proj
    projection.__class__ = type("Bypassed", (torch.nn.Linear,), {})
    with pytest.raises(CropiError, match="Bypassed"):
        rows_of(Fast(), policy, prepared(random_group(0)))
    policy = policy_of("llama")
    mlp = policy.model.model.layers[0].mlp
    mlp.up_proj.forward_direct = None

    def forward(x: torch.Tensor) -> torch.Tensor:
        up = torch.nn.functional.linear(x, mlp.up_proj.weight)
        return mlp.down_proj(mlp.act_fn(mlp.gate_proj(x)) * up)

    mlp.forward = forward
    with pytest.raises(CropiError, match=r"up_proj\.weight"):
        rows_of(Fast(), policy, prepared(random_group(0)))
    rows = rows_of(Reference(), policy, prepared(random_group(0)))
    assert relative_error(rows[0], autograd_gradient(policy, random_group(0))) < 1e-9


def test_fused_experts_are_covered_or_refused() -> None:
    """Influence trap 16: three-dimensional expert weights."""
    import transformers

    torch.manual_seed(0)
    config = transformers.Qwen3MoeConfig(
        vocab_size=13, hidden_size=8, intermediate_size=12, moe_intermediate_size=6,
        num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=4,
        num_experts=3, num_experts_per_tok=2, tie_word_embeddings=False, pad_token_id=None,
        initializer_range=0.3, experts_implementation="eager",
    )  # fmt: skip
    policy = wrap(transformers.Qwen3MoeForCausalLM(config).double().eval())
    assert any(p.ndim == 3 for _, p in policy.trainable())
    group = random_group(0)
    with pytest.raises(CropiError, match="engine=reference"):
        rows_of(Fast(), policy, prepared(group))
    rows = rows_of(Reference(), policy, prepared(group))
    # The router and the norms of this model round to float32.
    assert relative_error(rows[0], autograd_gradient(policy, group)) < 1e-6


def test_every_position_counts() -> None:
    """Influence trap 8: prompt positions reach the weights too, not only the response's."""
    policy = policy_of("llama")
    group = random_group(2)
    from cropi.influence.layout import repeated

    (ready,) = prepared(group)
    layout = repeated([ready], 11)
    captured: dict[str, torch.Tensor] = {}
    layer = policy.model.model.layers[0].self_attn.q_proj

    def hear(module: Any, arguments: Any, output: torch.Tensor) -> None:
        captured["in"] = arguments[0].detach()
        output.register_hook(lambda g: captured.__setitem__("out", g))

    handle = layer.register_forward_hook(hear)
    rows_of(Reference(prefix="repeated"), policy, [ready])
    handle.remove()
    whole = torch.einsum("rto,rti->oi", captured["out"], captured["in"])
    part = torch.einsum(
        "rto,rti->oi", captured["out"][:, layout.first :], captured["in"][:, layout.first :]
    )
    assert relative_error(part, whole) > 0.05


def test_bf16_weights_accumulate_in_float32(kind: str) -> None:
    """Influence trap 9."""
    policy = policy_of("llama", torch.bfloat16)
    groups = prepared(*[random_group(seed) for seed in range(3)])
    parts = list(engine_of(kind).gradients(policy, groups, whole(policy), _paper()))
    assert all(part.rows.dtype == torch.float32 for part in parts)
    wide = policy_of("llama", torch.bfloat16)
    wide.model.float()
    exact = rows_of(Reference(), wide, groups)
    found = rows_of(engine_of(kind), policy, groups)
    cosines = torch.nn.functional.cosine_similarity(found, exact)
    assert float(cosines.min()) > 0.99


def test_a_ratio_that_overflows_condemns_its_prompt_only(kind: str) -> None:
    policy = policy_of("llama", torch.float32)
    wild = group_of("w", [1, 2], [[3, EOS], [4, EOS]], [1.0, 0.0], [[-500.0, -1.0], [-1.0, -1.0]])
    groups = prepared(random_group(0), wild, random_group(1))
    columns = np.zeros(3)
    rows = torch.zeros(3, whole(policy).dimension)
    for part in engine_of(kind).gradients(policy, groups, whole(policy), _paper()):
        rows[part.places] = part.rows
        columns[part.places] = part.columns["finite"]
    assert columns.tolist() == [1.0, 0.0, 1.0]
    assert not rows[1].any()
    alone = rows_of(engine_of(kind), policy, [groups[0]])
    assert relative_error(rows[0].double(), alone[0]) < 1e-5
