"""Loading, templates, weights: what a policy must keep exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from cropi.policies.policy import Policy
from cropi.policies.pretrained import HuggingFace, Lora, end_ids, without_dropout
from cropi.policies.template import PromptTemplate
from cropi.policies.tiny import Tiny, digit_tokenizer
from cropi.runtime.errors import CropiError
from cropi.types import Prompt

PLAIN = PromptTemplate(chat=False)


def small(**options: Any) -> Tiny:
    return Tiny(**{
        "template": PLAIN, "hidden_size": 16, "heads": 2, "intermediate_size": 32, "examples": 200,
        "steps": 20, "batch_size": 32, "device": "cpu", **options,
    })


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_a_warm_start_is_made_once_and_is_the_same_bits(
    cache: Path, tmp_path: Path, architecture: str
) -> None:
    model = small(architecture=architecture)
    first = model.load(cache)
    made = {p: p.stat().st_mtime_ns for p in cache.rglob("*.safetensors")}
    assert model.load(cache).fingerprint() == first.fingerprint()
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*.safetensors")} == made
    assert model.load(tmp_path).fingerprint() == first.fingerprint()
    assert small(architecture=architecture, steps=21).load(cache).fingerprint() != (
        first.fingerprint()
    )


def test_a_warm_start_learns(cache: Path) -> None:
    def loss(policy: Policy) -> float:
        from cropi import arithmetic
        from cropi.policies.logprobs import TokenBatch, token_log_probs

        pairs = arithmetic.supervised_examples(200, 9)
        batch = TokenBatch.of(
            [policy.tokenizer(q)["input_ids"] for q, _ in pairs],
            [policy.tokenizer(a)["input_ids"] for _, a in pairs], pad_id=0,
        )
        with torch.no_grad():
            values = token_log_probs(policy.model, batch).values
            return float(-values.sum() / batch.completion_mask.sum())

    trained, random = small(steps=150, examples=2000), small(steps=0)
    assert loss(trained.load(cache)) < loss(random.load(cache)) - 0.3


def test_the_digit_tokenizer_spells_the_testbed_and_refuses_words(cache: Path) -> None:
    policy = small().load(cache)
    prompt = Prompt.create("@352=", ["3"], source="t")
    ids = policy.encode(prompt)
    assert len(ids) == 5
    assert policy.decode(ids) == "@352="
    assert policy.decode([*ids, *policy.eos_ids]) == "@352="
    with pytest.raises(CropiError, match=r"cannot spell prompt .*model=smollm2_135m"):
        policy.encode(Prompt.create("Janet has 3 ducks", ["3"], source="gsm8k/train"))


def test_weights_round_trip_and_a_stranger_is_refused(cache: Path, tmp_path: Path) -> None:
    policy = small().load(cache)
    before = policy.fingerprint()
    policy.save_weights(tmp_path)
    with torch.no_grad():
        for _, parameter in policy.trainable():
            parameter.add_(1.0)
    assert policy.fingerprint() != before
    policy.load_weights(tmp_path)
    assert policy.fingerprint() == before
    other = small(layers=1).load(cache)
    with pytest.raises(CropiError, match="belongs to another model"):
        other.load_weights(tmp_path)
    wider = small(intermediate_size=48).load(cache)
    with pytest.raises(CropiError, match="has shape"):
        wider.load_weights(tmp_path)


def test_an_exported_policy_loads_anywhere(cache: Path, tmp_path: Path) -> None:
    policy = small().load(cache)
    policy.export(tmp_path / "final")
    again = HuggingFace(
        path=str(tmp_path / "final"), template=PLAIN, dtype="float32", device="cpu"
    ).load(cache)
    assert again.fingerprint() == policy.fingerprint()
    assert again.eos_ids == policy.eos_ids


def test_all_end_ids_are_found() -> None:
    # Pitfall 16.
    model = GPT2LMHeadModel(GPT2Config(
        vocab_size=24, n_embd=8, n_layer=1, n_head=1, eos_token_id=5, bos_token_id=None,
    ))
    model.generation_config.eos_token_id = [7, 8]
    assert end_ids(model, digit_tokenizer()) == (1, 5, 7, 8)


def test_dropout_is_off_even_in_training_mode() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=24, n_embd=8, n_layer=2, n_head=1))
    without_dropout(model)
    model.train()
    ids = torch.tensor([[3, 4, 5, 6]])
    assert torch.equal(model(ids).logits, model(ids).logits)


def test_lora_trains_the_adapter_only_and_starts_as_the_base(
    cache: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    base = small().load(cache)
    adapted = small(lora=Lora(rank=2)).load(cache)
    assert all("lora_" in name for name, _ in adapted.trainable())
    ids = torch.tensor([[3, 4, 5, 6]])
    torch.testing.assert_close(base.model(ids).logits, adapted.model(ids).logits)
    with torch.no_grad():
        for name, parameter in adapted.trainable():
            if "lora_B" in name:
                parameter.fill_(0.1)
    moved = adapted.model(ids).logits
    assert not torch.allclose(base.model(ids).logits, moved)
    adapted.export(tmp_path / "adapter")
    # Pitfall 24: a run that starts from a trained adapter must keep it as its reference.
    again = small(lora=Lora(rank=2, adapter=str(tmp_path / "adapter"))).load(cache)
    torch.testing.assert_close(again.model(ids).logits, moved)


def test_gradient_checkpointing_gives_the_same_gradient(cache: Path) -> None:
    from cropi.policies.logprobs import TokenBatch, token_log_probs

    batch = TokenBatch.of([[3, 4], [5]], [[6, 7, 1], [8]], pad_id=0)
    gradients = []
    for checkpointing in (False, True):
        policy = small(gradient_checkpointing=checkpointing).load(cache)
        token_log_probs(policy.model, batch).values.sum().backward()
        gradients.append({n: p.grad for n, p in policy.trainable()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


def test_a_missing_model_and_a_missing_device_are_said_plainly(cache: Path) -> None:
    nowhere = HuggingFace(path="./no-such-folder", template=PLAIN, device="cpu")
    with pytest.raises(CropiError, match=r"model\.path=\./no-such-folder: cannot be loaded"):
        nowhere.load(cache)
    with pytest.raises(CropiError, match=r"model\.device=cuda:7"):
        small(device="cuda:7").load(cache)
    with pytest.raises(CropiError, match=r"has no chat template; set model\.template\.chat=false"):
        small(template=PromptTemplate(chat=True)).load(cache)


def test_templates_keep_braces_and_order() -> None:
    template = PromptTemplate(
        user="Q: {question}\nA:", system="Be short.", examples=[["1+1", " 2"]], chat=False
    )
    assert template.plain("{x}") == "Be short.\n\nQ: 1+1\nA: 2\n\nQ: {x}\nA:"
    assert [m["role"] for m in template.messages("{x}")] == ["system", "user", "assistant", "user"]
    with pytest.raises(ValueError, match=r"user must contain \{question\}"):
        PromptTemplate(user="no place")
    with pytest.raises(ValueError, match="pair"):
        PromptTemplate(examples=[["only a question"]])
