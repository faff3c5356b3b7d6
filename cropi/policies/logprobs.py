"""Token log-probabilities of completions under a policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenBatch:
    """Prompts padded on the left, completions on the right, masks from lengths.

    input_ids, attention_mask, position_ids: int64 [B, P+T]; completion_ids int64 [B, T];
    completion_mask bool [B, T]. Position ids count real tokens, so a left-padded row has the
    positions (and the log-probs) it has alone.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    completion_ids: Tensor
    completion_mask: Tensor

    @classmethod
    def of(
        cls,
        prompts: Sequence[Sequence[int]],
        completions: Sequence[Sequence[int]],
        *,
        pad_id: int,
        device: torch.device | str = "cpu",
    ) -> TokenBatch:
        """Pack token ids. An empty completion is a row without completion tokens."""
        rows = len(prompts)
        width = max(len(p) for p in prompts)
        length = max(1, max(len(c) for c in completions))
        ids = torch.full((rows, width + length), pad_id, dtype=torch.int64)
        mask = torch.zeros((rows, width + length), dtype=torch.int64)
        for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
            start, stop = width - len(prompt), width + len(completion)
            ids[row, start:width] = torch.as_tensor(prompt, dtype=torch.int64)
            ids[row, width:stop] = torch.as_tensor(completion, dtype=torch.int64)
            mask[row, start:stop] = 1
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        completion_mask = mask[:, width:].bool()
        return cls(
            ids.to(device), mask.to(device), positions.to(device),
            ids[:, width:].to(device), completion_mask.to(device),
        )


@dataclass(frozen=True)
class TokenLogProbs:
    """values float32 [B, T] (0 where masked); entropy float32 [B, T] or None.

    Both are float64 when the model is.
    """

    values: Tensor
    entropy: Tensor | None


def token_log_probs(
    model: Any,
    batch: TokenBatch,
    *,
    temperature: float = 1.0,
    with_entropy: bool = False,
    entropy_gradient: bool = False,
) -> TokenLogProbs:
    """Log-probabilities of the completion tokens at ``temperature``, reduced in float32.

    Differentiable in the model's parameters; the entropy only with ``entropy_gradient``, which
    keeps two more arrays over the vocabulary. At temperature 0 (greedy) they are those at 1.
    The logit at position i speaks of token i+1, so completion token t is read from the logit one
    place before it; only those T+1 logits are asked of the model.
    """
    length = batch.completion_ids.shape[1]
    logits = model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        logits_to_keep=length + 1,
        use_cache=False,
    ).logits[:, -(length + 1) : -1]
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    scaled = logits / (temperature if temperature > 0 else 1.0)
    normaliser = torch.logsumexp(scaled, dim=-1)
    chosen = scaled.gather(-1, batch.completion_ids.unsqueeze(-1)).squeeze(-1)
    values = (chosen - normaliser).masked_fill(~batch.completion_mask, 0.0)
    entropy = None
    if with_entropy:
        with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
            probabilities = torch.softmax(scaled, dim=-1)
            entropy = normaliser - (probabilities * scaled).sum(dim=-1)
            entropy = entropy.masked_fill(~batch.completion_mask, 0.0)
    return TokenLogProbs(values, entropy)
