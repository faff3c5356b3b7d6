"""Generation with transformers: batched, left-padded, one random stream a trajectory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cropi.contracts import Generator, PositiveInt, Request, Sampling
from cropi.policies.logprobs import TokenBatch
from cropi.policies.policy import Policy
from cropi.runtime.parts import part
from cropi.types import FinishReason, Trajectory


@part
class Transformers(Generator):
    """Draws with ``model.generate``; only the choice of each token is ours (``TokenChoice``).

    Requests are batched by prompt length, longest first, so that padding is short and running
    out of memory shows at once.
    """

    batch_size: PositiveInt = 256

    def generate(
        self, policy: Policy, requests: Sequence[Request], sampling: Sampling
    ) -> list[Trajectory]:
        order = sorted(range(len(requests)), key=lambda i: -len(requests[i].prompt_token_ids))
        drawn: dict[int, Trajectory] = {}
        was_training, its_own = policy.model.training, policy.model.generation_config
        policy.model.eval()  # gradient checkpointing in training mode would switch the cache off
        try:
            for start in range(0, len(order), self.batch_size):
                places = order[start : start + self.batch_size]
                batch = [requests[i] for i in places]
                drawn.update(zip(places, _generate(policy, batch, sampling), strict=True))
        finally:
            policy.model.train(was_training)
            policy.model.generation_config = its_own  # an exported policy keeps its own file
        return [drawn[i] for i in range(len(requests))]


@torch.no_grad()
def _generate(
    policy: Policy, requests: Sequence[Request], sampling: Sampling
) -> list[Trajectory]:
    from transformers import GenerationConfig, LogitsProcessorList

    packed = TokenBatch.of(
        [r.prompt_token_ids for r in requests],
        [()] * len(requests),
        pad_id=policy.pad_id,
        device=policy.device,
    )
    width = packed.input_ids.shape[1] - 1  # of() leaves room for one completion token
    choice = TokenChoice(
        sampling, uniforms([r.seed for r in requests], sampling.max_new_tokens, policy.device)
    )
    # Unset fields would be taken from the model's own generation_config.json (pitfall 18), so the
    # model is given this one, in which everything but the length and the ends is neutral.
    config = GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        do_sample=False,  # TokenChoice has drawn already; generate takes its pick
        eos_token_id=list(policy.eos_ids),
        pad_token_id=policy.pad_id,
    )
    policy.model.generation_config = config
    output = policy.model.generate(
        input_ids=packed.input_ids[:, :width],
        attention_mask=packed.attention_mask[:, :width],
        generation_config=config,
        logits_processor=LogitsProcessorList([choice]),
    )
    completions = output[:, width:].cpu().numpy().astype(np.int32)
    log_probs = torch.stack(choice.log_probs, dim=1).cpu().numpy()
    return [
        _trajectory(policy, ids, values)
        for ids, values in zip(completions, log_probs, strict=True)
    ]


def _trajectory(policy: Policy, ids: np.ndarray, log_probs: np.ndarray) -> Trajectory:
    ends = np.flatnonzero(np.isin(ids, policy.eos_ids))
    length = int(ends[0]) + 1 if ends.size else len(ids)
    finish: FinishReason = "stop" if ends.size else "length"
    return Trajectory(
        token_ids=ids[:length].copy(),
        log_probs=log_probs[:length].astype(np.float32),
        finish=finish,
        text=policy.decode(ids[:length].tolist()),
    )


def uniforms(seeds: Sequence[int], length: int, device: torch.device | str = "cpu") -> Tensor:
    """float64 [B, length] in [0, 1): row b from its own stream, whatever shares the batch."""
    rows = [np.random.Generator(np.random.Philox(key=seed)).random(length) for seed in seeds]
    return torch.from_numpy(np.stack(rows)).to(device)


class TokenChoice:
    """A logits processor that draws each row's next token by its own uniform numbers.

    It records the token's log-probability under the *full* distribution at the sampling
    temperature (at 1 when greedy), then leaves that token as the only possible one, so that the
    greedy ``generate`` takes it. The draw inverts the cumulative distribution of what top_k and
    top_p keep.
    """

    def __init__(self, sampling: Sampling, uniforms: Tensor) -> None:
        self.sampling = sampling
        self.uniforms = uniforms
        self.log_probs: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        greedy = self.sampling.temperature == 0
        scaled = scores.float() / (1.0 if greedy else self.sampling.temperature)
        log_probs = torch.log_softmax(scaled, dim=-1)
        if greedy:
            tokens = scores.argmax(dim=-1)
        else:
            tokens = self._draw(log_probs, self.uniforms[:, len(self.log_probs)])
        self.log_probs.append(log_probs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1))
        only = torch.full_like(scores, float("-inf"))
        return only.scatter(-1, tokens.unsqueeze(-1), 0.0)

    def _draw(self, log_probs: Tensor, uniform: Tensor) -> Tensor:
        kept = keep_top(log_probs, top_k=self.sampling.top_k, top_p=self.sampling.top_p)
        # float64: a float32 running sum over 150,000 tokens would lose the rare ones.
        cumulative = kept.double().exp().cumsum(dim=-1)
        target = uniform.to(cumulative) * cumulative[:, -1]
        # right=True steps over tokens of zero width, which must never be drawn.
        return torch.searchsorted(cumulative, target.unsqueeze(-1), right=True).squeeze(-1)


def keep_top(log_probs: Tensor, *, top_k: int, top_p: float) -> Tensor:
    """Set to -inf what is outside the k likeliest tokens or the smallest set holding ``top_p``.

    log_probs float32 [B, V], normalised; the result is not renormalised. The likeliest token
    always stays; ``top_k=0`` and ``top_p=1`` keep everything.
    """
    if not top_k and top_p >= 1.0:
        return log_probs
    ranked, order = log_probs.sort(dim=-1, descending=True, stable=True)
    drop = torch.zeros_like(ranked, dtype=torch.bool)
    if top_k:
        drop[:, top_k:] = True
    if top_p < 1.0:
        probabilities = ranked.double().exp()
        before = probabilities.cumsum(dim=-1) - probabilities
        drop |= before >= top_p
    drop[:, 0] = False
    return log_probs.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), float("-inf"))
