"""Several updates of a policy on one batch, in micro-batches that do not show in the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from cropi.policies.logprobs import TokenBatch, token_log_probs
from cropi.policies.policy import Policy
from cropi.trainers.batch import Batch, Rows
from cropi.trainers.losses import LossInputs, Mode, Objective, policy_loss, response_weights
from cropi.trainers.optimizer import MasterAdamW


@dataclass(frozen=True)
class UpdatePlan:
    """How a batch is learned from; the options of ``GRPO`` of the same names say more."""

    objective: Objective
    mode: Mode
    longest: int
    temperature: float
    epochs: int
    mini_batches: int
    micro_batch_size: int
    keep_zero_variance: bool
    max_grad_norm: float | None


@dataclass(frozen=True)
class UpdateResult:
    """What to log, and the tokens (prompt and completion, no padding) passed each way."""

    metrics: dict[str, float]
    forward_tokens: int
    backward_tokens: int


@dataclass(frozen=True)
class MicroBatch:
    """Rows packed once and used in every epoch. ``old`` is None where it is the current policy."""

    tokens: TokenBatch
    advantages: Tensor  # [B]
    weights: Tensor  # [B]
    behaviour: Tensor  # [B, T]
    old: Tensor | None = None  # [B, T]
    reference: Tensor | None = None  # [B, T]

    @property
    def size(self) -> int:
        return int(self.tokens.attention_mask.sum())


def update(
    policy: Policy,
    optimizer: MasterAdamW,
    batch: Batch,
    plan: UpdatePlan,
    *,
    learning_rate: float,
    reference: Callable[[], Policy],
) -> UpdateResult:
    """Update ``policy`` in place. A mini-batch that says nothing is no update, not a zero one.

    Adam moves on its stale moments even when the gradient is zero; here it is left alone.
    ``reference`` is called only when the objective has a KL term and there is something to learn.
    """
    parts = [_micro_batches(policy, batch, rows, plan) for rows in _mini_batches(batch, plan)]
    forward = backward = 0
    if plan.epochs * len(parts) > 1:
        # Before the first update, and in the very chunks of the updates: the same kernels give
        # the same numbers, so the ratio starts at exactly 1.
        parts = [[replace(m, old=_score(policy, m, plan)) for m in part] for part in parts]
        forward += sum(m.size for part in parts for m in part)
    if parts and plan.objective.beta > 0.0:
        frozen = reference()
        parts = [[replace(m, reference=_score(frozen, m, plan)) for m in part] for part in parts]
        forward += sum(m.size for part in parts for m in part)

    losses, norms = [], []
    sums, counts = Counter[str](), Counter[str]()
    for part in parts * plan.epochs:
        loss = 0.0
        for micro in part:
            output = policy_loss(_loss_inputs(policy, micro, plan), plan.objective)
            output.loss.backward()
            optimizer.collect()
            backward += micro.size
            loss += output.loss.item()
            counts.update(output.counts)
            sums.update({name: total.item() for name, total in output.sums.items()})
        norms.append(optimizer.step(learning_rate, plan.max_grad_norm))
        losses.append(loss)
    metrics = {name: total / max(counts[name], 1) for name, total in sums.items()}
    metrics["loss"] = float(np.mean(losses)) if losses else 0.0
    metrics["grad_norm"] = float(np.mean(norms)) if norms else 0.0
    metrics["skipped_update"] = 1.0 - len(parts) / plan.mini_batches
    return UpdateResult(metrics, forward + backward, backward)


def _mini_batches(batch: Batch, plan: UpdatePlan) -> list[Rows]:
    """The mini-batches from which something can be learned."""
    objective = plan.objective
    regularised = plan.keep_zero_variance and (
        objective.beta > 0.0 or objective.entropy_coefficient != 0.0
    )
    return [
        rows
        for rows in batch.mini_batches(plan.mini_batches)
        if (batch.advantages * batch.lengths)[rows].any()
        or (regularised and (batch.kept * batch.lengths)[rows].any())
    ]


def _micro_batches(policy: Policy, batch: Batch, rows: Rows, plan: UpdatePlan) -> list[MicroBatch]:
    weights = np.zeros(len(batch.kept))
    weights[rows] = response_weights(
        plan.mode, batch.lengths[rows], batch.kept[rows], plan.longest
    )
    used = batch.kept if plan.keep_zero_variance else batch.kept & batch.varied
    trained = rows[used[rows]]
    return [
        _pack(policy, batch, chunk, weights[chunk])
        for chunk in batch.micro_batches(trained, plan.micro_batch_size)
    ]


def _pack(policy: Policy, batch: Batch, rows: Rows, weights: np.ndarray) -> MicroBatch:
    tokens = TokenBatch.of(
        [batch.prompts[row].tolist() for row in rows],
        [batch.trajectories[row].token_ids.tolist() for row in rows],
        pad_id=policy.pad_id,
        device=policy.device,
    )
    behaviour = torch.zeros(tokens.completion_ids.shape)
    for place, row in enumerate(rows):
        behaviour[place, : batch.lengths[row]] = torch.tensor(batch.trajectories[row].log_probs)
    return MicroBatch(
        tokens=tokens,
        advantages=torch.tensor(batch.advantages[rows], dtype=torch.float32, device=policy.device),
        weights=torch.tensor(weights, dtype=torch.float32, device=policy.device),
        behaviour=behaviour.to(policy.device),
    )


@torch.no_grad()
def _score(policy: Policy, micro: MicroBatch, plan: UpdatePlan) -> Tensor:
    return token_log_probs(policy.model, micro.tokens, temperature=plan.temperature).values


def _loss_inputs(policy: Policy, micro: MicroBatch, plan: UpdatePlan) -> LossInputs:
    current = token_log_probs(
        policy.model,
        micro.tokens,
        temperature=plan.temperature,
        with_entropy=True,
        entropy_gradient=plan.objective.entropy_coefficient != 0.0,
    )
    assert current.entropy is not None
    return LossInputs(
        log_probs=current.values,
        old_log_probs=current.values.detach() if micro.old is None else micro.old,
        behaviour_log_probs=micro.behaviour,
        mask=micro.tokens.completion_mask,
        advantages=micro.advantages,
        weights=micro.weights,
        entropy=current.entropy,
        reference_log_probs=micro.reference,
    )
