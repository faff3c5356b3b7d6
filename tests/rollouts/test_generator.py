"""Generation against an exhaustive loop, and the sampling bugs of the field."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import (
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from cropi.contracts import Request, Sampling
from cropi.policies.logprobs import TokenBatch, token_log_probs
from cropi.policies.policy import Policy
from cropi.policies.pretrained import without_dropout
from cropi.policies.template import PromptTemplate
from cropi.policies.tiny import digit_tokenizer
from cropi.rollouts.transformers_generator import TokenChoice, Transformers, keep_top, uniforms

VOCABULARY = 24


def tiny_policy(kind: str = "llama", eos_ids: tuple[int, ...] = (1,)) -> Policy:
    torch.manual_seed(0)
    if kind == "llama":
        config = LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=1, initializer_range=0.3,
            bos_token_id=None, eos_token_id=1, pad_token_id=0,
        )
        model = LlamaForCausalLM(config)
    else:
        model = GPT2LMHeadModel(GPT2Config(
            vocab_size=VOCABULARY, n_positions=64, n_embd=16, n_layer=2, n_head=2,
            initializer_range=0.3, bos_token_id=None, eos_token_id=1,
        ))
    without_dropout(model)
    model.eval()
    return Policy("tiny", model, digit_tokenizer(), PromptTemplate(chat=False), eos_ids, 0)


def requests(lengths: list[int], seed: int = 5) -> list[Request]:
    random = np.random.default_rng(seed)
    return [
        Request(f"p{i}", tuple(random.integers(3, VOCABULARY, size=n).tolist()), 1000 + i)
        for i, n in enumerate(lengths)
    ]


def one_by_one(policy: Policy, request: Request, sampling: Sampling) -> list[int]:
    """The same draw, token by token, without cache, batch or padding."""
    uniform = uniforms([request.seed], sampling.max_new_tokens)[0]
    ids = list(request.prompt_token_ids)
    drawn: list[int] = []
    for step in range(sampling.max_new_tokens):
        logits = policy.model(torch.tensor([ids])).logits[0, -1].double()
        if sampling.temperature == 0:
            token = int(logits.argmax())
        else:
            cumulative = torch.softmax(logits / sampling.temperature, -1).cumsum(-1)
            token = int((cumulative <= uniform[step] * cumulative[-1]).sum())
        ids.append(token)
        drawn.append(token)
        if token in policy.eos_ids:
            break
    return drawn


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_padded_batches_draw_what_a_loop_without_padding_draws(
    kind: str, temperature: float
) -> None:
    # Pitfall 17: GPT-2's learned positions shift when left padding is counted.
    policy = tiny_policy(kind)
    sampling = Sampling(temperature=temperature, max_new_tokens=6)
    asked = requests([3, 1, 7, 2, 5])
    drawn = Transformers(batch_size=3).generate(policy, asked, sampling)
    for request, trajectory in zip(asked, drawn, strict=True):
        assert trajectory.token_ids.tolist() == one_by_one(policy, request, sampling)


def test_log_probs_are_of_the_full_distribution_at_the_sampling_temperature() -> None:
    policy = tiny_policy()
    asked = requests([3, 6, 2])
    # top_k and top_p restrict the draw, not the distribution that is recorded.
    sampling = Sampling(temperature=0.6, top_k=3, top_p=0.9, max_new_tokens=5)
    drawn = Transformers().generate(policy, asked, sampling)
    batch = TokenBatch.of(
        [r.prompt_token_ids for r in asked], [t.token_ids.tolist() for t in drawn], pad_id=0
    )
    expected = token_log_probs(policy.model, batch, temperature=0.6).values
    for row, trajectory in enumerate(drawn):
        length = len(trajectory.token_ids)
        np.testing.assert_allclose(
            trajectory.log_probs, expected[row, :length].detach().numpy(), atol=1e-5
        )


def test_the_draw_does_not_depend_on_what_shares_the_batch() -> None:
    policy, sampling = tiny_policy(), Sampling(max_new_tokens=6)
    asked = requests([4, 2, 9, 3, 3, 6])
    alone = [Transformers().generate(policy, [r], sampling)[0] for r in asked]
    backwards = Transformers(batch_size=2).generate(policy, asked[::-1], sampling)[::-1]
    for one, other in zip(alone, backwards, strict=True):
        assert one.token_ids.tolist() == other.token_ids.tolist()


def test_nothing_is_inherited_from_the_models_generation_config() -> None:
    # Pitfall 18: repetition_penalty and top_k of generation_config.json used silently.
    sampling = Sampling(temperature=0.0, max_new_tokens=8)
    asked = requests([3, 5])
    clean = Transformers().generate(tiny_policy(), asked, sampling)
    odd = tiny_policy()
    odd.model.generation_config = GenerationConfig(
        repetition_penalty=1.8, no_repeat_ngram_size=1, suppress_tokens=[4, 5, 6],
        max_length=4, eos_token_id=7,
    )
    again = Transformers().generate(odd, asked, sampling)
    assert [t.token_ids.tolist() for t in clean] == [t.token_ids.tolist() for t in again]


def test_every_eos_id_stops_and_the_stop_reason_is_read_from_the_tokens() -> None:
    # Pitfall 16: with one of two end ids honoured, nearly everything looks truncated.
    policy = tiny_policy(eos_ids=(1, 7, 9, 12))
    drawn = Transformers().generate(policy, requests([3] * 40), Sampling(max_new_tokens=20))
    assert {t.finish for t in drawn} == {"stop", "length"} or all(t.finish == "stop" for t in drawn)
    for t in drawn:
        ends = [i for i, token in enumerate(t.token_ids.tolist()) if token in policy.eos_ids]
        assert ends == ([len(t.token_ids) - 1] if t.finish == "stop" else [])
        assert len(t.log_probs) == len(t.token_ids)
    assert len({int(t.token_ids[-1]) for t in drawn if t.finish == "stop"}) > 1


def test_a_pad_id_that_is_also_an_end_keeps_the_real_end() -> None:
    # Pitfall 15: pad == eos, masks inferred from ids drop the end itself.
    policy = tiny_policy()
    policy.pad_id = 1
    drawn = Transformers(batch_size=8).generate(policy, requests([2, 6, 4, 3]), Sampling(
        max_new_tokens=12))
    for t in drawn:
        assert (t.token_ids.tolist().count(1) == 1) == (t.finish == "stop")


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, -30.0]])
    n = 20_000
    choice = TokenChoice(Sampling(temperature=1.0), uniforms(list(range(n)), 1))
    picked = choice(torch.zeros(n, 1), logits.repeat(n, 1)).argmax(-1)
    shares = torch.bincount(picked, minlength=5) / n
    torch.testing.assert_close(shares, torch.softmax(logits[0], -1), atol=0.012, rtol=0)


def test_keep_top_by_hand() -> None:
    log_probs = torch.tensor([[0.5, 0.1, 0.25, 0.15]]).log()

    def kept(top_k: int, top_p: float) -> list[bool]:
        return torch.isfinite(keep_top(log_probs, top_k=top_k, top_p=top_p))[0].tolist()

    assert kept(0, 1.0) == [True, True, True, True]
    assert kept(2, 1.0) == [True, False, True, False]
    assert kept(0, 0.49) == [True, False, False, False]
    assert kept(0, 0.51) == [True, False, True, False]
    assert kept(0, 1e-9) == [True, False, False, False]
    assert kept(1, 0.99) == [True, False, False, False]


def test_generation_leaves_the_model_as_it_was() -> None:
    policy = tiny_policy()
    policy.model.train()
    its_own = policy.model.generation_config
    Transformers().generate(policy, requests([2]), Sampling(max_new_tokens=2))
    assert policy.model.training
    # An exported policy must not carry our sampling into its generation_config.json.
    assert policy.model.generation_config is its_own
