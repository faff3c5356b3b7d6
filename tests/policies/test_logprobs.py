"""Token log-probs against the slowest way to get them: one token at a time, nothing padded."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cropi.policies.logprobs import TokenBatch, token_log_probs

VOCABULARY = 13
TEMPERATURE = 0.7
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10]]
COMPLETIONS = [[3, 1, 4, 1], [5, 9, 2], []]


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**common(), num_key_value_heads=1))


def qwen2() -> Any:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(Qwen2Config(**common(), num_key_value_heads=2))


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=32,
            initializer_range=0.5, bos_token_id=None, eos_token_id=0,
            attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
        )
    )


def common() -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.5,
        "bos_token_id": None, "eos_token_id": 0,
    }


MODELS = [llama, qwen2, gpt2]


@pytest.fixture(params=MODELS, ids=lambda make: make.__name__)
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return request.param().eval()


def one_at_a_time(model: Any, prompt: list[int], completion: list[int]) -> list[torch.Tensor]:
    """For each completion token the whole log-distribution [V] it was drawn from."""
    return [
        (model(torch.tensor([prompt + completion[:t]])).logits[0, -1].double() / TEMPERATURE)
        .log_softmax(dim=0)
        for t in range(len(completion))
    ]


@torch.no_grad()
def test_values_and_entropy_are_those_of_each_token_alone(model: Any) -> None:
    # Pitfalls 17 and 23: left-padded rows of three lengths, aligned token by token.
    batch = TokenBatch.of(PROMPTS, COMPLETIONS, pad_id=0)
    result = token_log_probs(model, batch, temperature=TEMPERATURE, with_entropy=True)
    assert result.entropy is not None
    assert result.values.dtype == result.entropy.dtype == torch.float32
    assert result.values.shape == result.entropy.shape == (3, 4)
    for row, (prompt, completion) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        for t, log_probs in enumerate(one_at_a_time(model, prompt, completion)):
            assert result.values[row, t].item() == pytest.approx(
                log_probs[completion[t]].item(), abs=1e-5
            )
            entropy = -(log_probs.exp() * log_probs).sum().item()
            assert result.entropy[row, t].item() == pytest.approx(entropy, abs=1e-5)
        assert not result.values[row, len(completion) :].any()
        assert not result.entropy[row, len(completion) :].any()


@torch.no_grad()
@pytest.mark.parametrize("padding", [0, 3, 10])
def test_padding_moves_nothing(model: Any, padding: int) -> None:
    # Pitfall 17: a learned position is shifted by padding unless positions count real tokens.
    alone = token_log_probs(model, TokenBatch.of([[1, 2, 3]], [[4, 5]], pad_id=0)).values
    long = [[7] * (3 + padding), [1, 2, 3]]
    padded = token_log_probs(model, TokenBatch.of(long, [[6, 6, 6], [4, 5]], pad_id=0)).values
    assert torch.allclose(padded[1, :2], alone[0], rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_filler_id_does_not_matter(model: Any) -> None:
    values = [
        token_log_probs(model, TokenBatch.of(PROMPTS, COMPLETIONS, pad_id=pad)).values
        for pad in (0, 3, VOCABULARY - 1)
    ]
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[0], values[2])


def test_the_end_token_counts_though_it_is_the_filler() -> None:
    # Pitfall 15: completion [5, 9, E] beside a longer one, padded with E.
    end = 0
    batch = TokenBatch.of([[1], [1]], [[5, 9, end], [2, 2, 2, 2, 2]], pad_id=end)
    assert batch.completion_ids[0].tolist() == [5, 9, end, end, end]
    assert batch.completion_mask.tolist() == [[True, True, True, False, False], [True] * 5]


def test_masks_and_positions() -> None:
    batch = TokenBatch.of([[1, 2], [3]], [[4], [5, 6]], pad_id=9)
    assert batch.input_ids.tolist() == [[1, 2, 4, 9], [9, 3, 5, 6]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0], [0, 1, 1, 1]]
    assert batch.position_ids[0, :3].tolist() == [0, 1, 2]
    assert batch.position_ids[1].tolist() == [0, 0, 1, 2]


class Table(torch.nn.Module):
    """A "model" whose logits at position i are a function of the id at i alone."""

    def forward(self, input_ids: torch.Tensor, logits_to_keep: int, **_: Any) -> Any:
        from types import SimpleNamespace

        # After id i, id i + 1 has probability 2/3 and every other of the three 1/6.
        logits = torch.nn.functional.one_hot((input_ids + 1) % 3, 3) * torch.log(torch.tensor(4.0))
        return SimpleNamespace(logits=logits[:, -logits_to_keep:])


def test_the_logit_before_a_token_speaks_of_it() -> None:
    # Pitfall 23: read one place too late, the hits and misses change places.
    values = token_log_probs(Table(), TokenBatch.of([[0]], [[1, 2, 2, 0]], pad_id=0)).values
    expected = torch.tensor([[2 / 3, 2 / 3, 1 / 6, 2 / 3]]).log()
    assert torch.allclose(values, expected)


@torch.no_grad()
def test_greedy_log_probs_are_those_at_temperature_one(model: Any) -> None:
    batch = TokenBatch.of(PROMPTS, COMPLETIONS, pad_id=0)
    assert torch.equal(
        token_log_probs(model, batch, temperature=0.0).values, token_log_probs(model, batch).values
    )


def test_gradients_reach_the_values_and_the_entropy_only_when_asked(model: Any) -> None:
    batch = TokenBatch.of(PROMPTS, COMPLETIONS, pad_id=0)
    plain = token_log_probs(model, batch, with_entropy=True)
    assert plain.values.requires_grad
    assert plain.entropy is not None
    assert not plain.entropy.requires_grad
    asked = token_log_probs(model, batch, with_entropy=True, entropy_gradient=True)
    assert asked.entropy is not None
    assert asked.entropy.requires_grad
    assert torch.equal(asked.entropy, plain.entropy)
    assert token_log_probs(model, batch).entropy is None
    with torch.no_grad():
        silent = token_log_probs(model, batch, with_entropy=True, entropy_gradient=True)
    assert silent.entropy is not None
    assert not silent.entropy.requires_grad


@torch.no_grad()
def test_narrow_logits_are_reduced_in_float32_and_wide_ones_stay_wide(model: Any) -> None:
    # Pitfall 19: a bfloat16 log-softmax has steps of 1/64 at log-probs of 2 to 4.
    batch = TokenBatch.of(PROMPTS[:2], COMPLETIONS[:2], pad_id=0)
    narrow = token_log_probs(model.to(torch.bfloat16), batch).values
    assert narrow.dtype == torch.float32
    assert not torch.equal(narrow, narrow.bfloat16().float())
    assert token_log_probs(model.double(), batch).values.dtype == torch.float64
