"""Updates on a batch: micro-batches, skipped rows, several epochs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import EOS, group, mixed_groups, tiny_policy, trajectory

from cropi.policies.policy import Policy
from cropi.trainers.batch import Batch
from cropi.trainers.correction import Correction
from cropi.trainers.losses import Objective
from cropi.trainers.optimizer import MasterAdamW
from cropi.trainers.update import UpdatePlan, UpdateResult, update
from cropi.types import Group

PLAN = UpdatePlan(
    objective=Objective(), mode="grpo", longest=6, temperature=0.7, epochs=1, mini_batches=1,
    micro_batch_size=64, keep_zero_variance=False, max_grad_norm=None,
)
REGULARISED = Objective(beta=0.3, entropy_coefficient=0.05)
SEQUENCES = Objective(ratio="sequence", correction=Correction("sequence_truncate", high=1e-1))
WEIGHTS = Objective(surrogate="cispo", correction=Correction("token_mask", 0.1, 0.6))


class Recorder(MasterAdamW):
    """An AdamW that remembers the gradients it was given, on a policy that may be frozen."""

    def __init__(self, policy: Policy, frozen: bool) -> None:
        super().__init__(policy.trainable(), betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
        self.gradients: list[torch.Tensor] = []
        self.frozen = frozen

    def step(self, learning_rate: float, max_norm: float | None) -> float:
        self.gradients.append(
            torch.cat([m.grad.flatten().double() for m in self._masters.values()])
        )
        return super().step(0.0 if self.frozen else learning_rate, max_norm)


def run(
    plan: UpdatePlan,
    groups: list[Group] | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    frozen: bool = True,
    weight: float = 1.0,
    truncated: bool = False,
) -> tuple[UpdateResult, Recorder]:
    policy = tiny_policy(dtype)
    recorder = Recorder(policy, frozen)
    groups = groups or mixed_groups()
    batch = Batch.of(
        groups, {g.prompt_id: weight for g in groups}, scale="std", mask_truncated=truncated
    )
    result = update(
        policy, recorder, batch, plan, learning_rate=0.01, reference=lambda: tiny_policy(seed=1)
    )
    return result, recorder


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mode", ["grpo", "dapo", "dr_grpo"])
@pytest.mark.parametrize("objective", [Objective(), REGULARISED, SEQUENCES, WEIGHTS])
def test_the_gradient_does_not_depend_on_the_micro_batches(
    mode: Any, objective: Objective, dtype: torch.dtype
) -> None:
    plan = replace(PLAN, mode=mode, objective=objective, keep_zero_variance=True)
    whole, reference = run(plan, dtype=dtype)
    assert reference.gradients[0].norm() > 1e-3
    for size in (6, 5, 4, 1):  # 12 rows, 11 of them kept: even and uneven parts
        result, recorder = run(replace(plan, micro_batch_size=size), dtype=dtype)
        assert torch.allclose(recorder.gradients[0], reference.gradients[0], rtol=0, atol=1e-6)
        assert result.metrics == pytest.approx(whole.metrics, abs=1e-6)
        assert result.backward_tokens == whole.backward_tokens


@pytest.mark.parametrize("mode", ["grpo", "dapo", "dr_grpo"])
def test_skipping_groups_without_signal_is_exact_and_cheaper(mode: Any) -> None:
    skipped, recorder = run(replace(PLAN, mode=mode), dtype=torch.float64)
    kept, other = run(replace(PLAN, mode=mode, keep_zero_variance=True), dtype=torch.float64)
    assert torch.allclose(recorder.gradients[0], other.gradients[0], rtol=0, atol=1e-12)
    assert skipped.metrics["loss"] == pytest.approx(kept.metrics["loss"], abs=1e-7)
    assert skipped.backward_tokens < kept.backward_tokens
    # Group a: 3 x 3 prompt tokens + 8. b without its row that is not scorable: 2 + 7. d: 6 + 5.
    assert skipped.backward_tokens == 17 + 9 + 11
    assert kept.backward_tokens == 17 + 9 + 11 + (12 + 6)


def test_with_a_penalty_only_kept_groups_pay_it() -> None:
    # Pitfall 10: a batch of one constant group; the default spares it, "keep" does not.
    constant = [mixed_groups()[2]]
    plan = replace(PLAN, objective=Objective(beta=0.3))
    skipped, recorder = run(plan, constant)
    assert skipped.metrics == {"loss": 0.0, "grad_norm": 0.0, "skipped_update": 1.0}
    assert recorder.gradients == []
    kept, recorder = run(replace(plan, keep_zero_variance=True), constant)
    assert kept.metrics["skipped_update"] == 0.0
    assert kept.metrics["kl"] > 0
    assert recorder.gradients[0].norm() > 0


@pytest.mark.parametrize("keep", [True, False])
def test_a_batch_without_signal_leaves_adam_alone(keep: bool) -> None:
    # A zero gradient would still move the weights by the moments of earlier steps.
    _, recorder = run(replace(PLAN, keep_zero_variance=keep), [mixed_groups()[2]])
    assert recorder.gradients == []


def test_a_truncated_response_can_be_masked_from_everything() -> None:
    # Pitfall 4: masking it is the same as never having drawn it.
    cut = trajectory([5, 5, 5, 5, 5, 5, 5, 5], 0.0, truncated=True)
    others = (trajectory([1, EOS], 1.0), trajectory([2, EOS], 0.0), trajectory([3, EOS], 0.0))
    for mode in ("grpo", "dapo", "dr_grpo"):
        plan = replace(PLAN, mode=mode)
        _, masked = run(plan, [group("a", [1, 2], *others, cut)], truncated=True)
        _, absent = run(plan, [group("a", [1, 2], *others)])
        _, kept = run(plan, [group("a", [1, 2], *others, cut)])
        assert torch.allclose(masked.gradients[0], absent.gradients[0], atol=1e-7)
        assert not torch.allclose(kept.gradients[0], absent.gradients[0], atol=1e-3)


def test_the_empty_response_stays_in_the_baseline() -> None:
    # Pitfall 5: rewards 0 (empty), 1: the other response has advantage +, not 0.
    groups = [group("a", [1], trajectory([], 0.0), trajectory([2, EOS], 1.0))]
    batch = Batch.of(groups, {"a": 1.0}, scale="none", mask_truncated=False)
    assert batch.advantages.tolist() == [-0.5, 0.5]
    result, recorder = run(PLAN, groups)
    assert recorder.gradients[0].norm() > 0
    assert np.isfinite(list(result.metrics.values())).all()


def test_a_prompt_that_comes_twice_is_two_groups() -> None:
    # Pitfall 13: merged, the right ones would be "better" than the wrong ones.
    twice = [
        group("a", [1, 2], trajectory([3, EOS], 1.0), trajectory([4, EOS], 1.0)),
        group("a", [1, 2], trajectory([5, EOS], 0.0), trajectory([6, EOS], 0.0)),
    ]
    batch = Batch.of(twice, {"a": 1.0}, scale="std", mask_truncated=False)
    assert not batch.advantages.any()
    assert not batch.varied.any()


def test_selection_weights_multiply_the_advantages() -> None:
    _, once = run(PLAN)
    _, thrice = run(PLAN, weight=3.0)
    assert torch.allclose(thrice.gradients[0], 3 * once.gradients[0], rtol=1e-4, atol=1e-7)


def test_mini_batches_hold_whole_groups() -> None:
    batch = Batch.of(
        mixed_groups(), dict.fromkeys("abcd", 1.0), scale="std", mask_truncated=False
    )
    assert [rows.tolist() for rows in batch.mini_batches(2)] == [
        [0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]
    ]
    assert [len(rows) for rows in batch.mini_batches(3)] == [6, 3, 3]
    assert len(batch.mini_batches(9)) == 4


def test_a_mini_batch_has_denominators_of_its_own() -> None:
    groups = mixed_groups()
    plan = replace(PLAN, mode="dapo", mini_batches=2, keep_zero_variance=True)
    result, recorder = run(plan)
    for place, half in enumerate((groups[:2], groups[2:])):
        _, alone = run(replace(plan, mini_batches=1), half)
        assert torch.allclose(recorder.gradients[place], alone.gradients[0], atol=1e-6)
    # Each kept row is passed once without gradient and once with it.
    assert result.forward_tokens == 2 * result.backward_tokens


def test_the_ratio_is_one_until_the_first_update_and_moves_after_it() -> None:
    one, recorder = run(PLAN, frozen=False)
    assert one.metrics["ratio/mean"] == 1.0
    assert one.metrics["ratio/abs_log_mean"] == 0.0
    assert one.forward_tokens == one.backward_tokens
    # Several epochs without movement: the old log-probs are those of the same forward.
    still, _ = run(replace(PLAN, epochs=3, micro_batch_size=5))
    assert still.metrics["ratio/abs_log_mean"] == 0.0
    assert still.metrics["ratio/mean"] == 1.0
    several, moving = run(replace(PLAN, epochs=3, mini_batches=2), frozen=False)
    assert several.metrics["ratio/abs_log_mean"] > 1e-3
    assert len(moving.gradients) == 6
    assert several.forward_tokens == 4 * one.forward_tokens
    assert len(recorder.gradients) == 1


def test_reference_is_loaded_only_for_a_penalty() -> None:
    def never() -> Policy:
        raise AssertionError("the reference was loaded")

    policy = tiny_policy()
    batch = Batch.of(
        mixed_groups(), dict.fromkeys("abcd", 1.0), scale="std", mask_truncated=False
    )
    update(policy, Recorder(policy, True), batch, PLAN, learning_rate=0.1, reference=never)


def test_the_same_policy_as_reference_has_no_divergence() -> None:
    # Pitfall 24, seen from the trainer: step 0 has KL 0 and a KL gradient of 0.
    policy = tiny_policy()
    batch = Batch.of(
        [mixed_groups()[2]], {"c": 1.0}, scale="std", mask_truncated=False
    )
    recorder = Recorder(policy, True)
    plan = replace(PLAN, objective=Objective(beta=1.0), keep_zero_variance=True)
    result = update(policy, recorder, batch, plan, learning_rate=0.1, reference=tiny_policy)
    assert result.metrics["kl"] == 0.0
    assert not recorder.gradients[0].any()


def test_scoring_alone_or_in_company_is_the_same() -> None:
    # Pitfall 19: in float32 the chunk size moves no token's ratio by more than 1e-5.
    from cropi.policies.logprobs import TokenBatch, token_log_probs

    policy = tiny_policy()
    rows = [(g.prompt_token_ids.tolist(), t.token_ids.tolist())
            for g in mixed_groups() for t in g.trajectories]
    with torch.no_grad():
        together = token_log_probs(
            policy.model, TokenBatch.of(*zip(*rows, strict=True), pad_id=policy.pad_id)
        ).values
        for place, (prompt, completion) in enumerate(rows):
            alone = token_log_probs(
                policy.model, TokenBatch.of([prompt], [completion], pad_id=policy.pad_id)
            ).values[0]
            width = len(completion)
            assert torch.allclose(alone[:width], together[place, :width], rtol=0, atol=1e-5)
