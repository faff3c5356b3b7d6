"""TRL's own GRPOTrainer as the oracle: the same completions and rewards, the same everything.

Its experimental ``rollout_func`` lets the completions be given; from there on advantages, old and
reference log-probs, loss and metrics are TRL's own, and only its training loop is not used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import EOS, group, tiny_policy, trajectory

from cropi.policies.policy import Policy
from cropi.trainers.batch import Batch
from cropi.trainers.correction import Correction, Kind
from cropi.trainers.losses import Objective
from cropi.trainers.metrics import group_metrics
from cropi.trainers.optimizer import MasterAdamW
from cropi.trainers.overlong import Overlong
from cropi.trainers.update import UpdatePlan, UpdateResult, update
from cropi.types import Group

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
trl = pytest.importorskip("trl", reason="the oracle needs trl: pip install 'cropi[trl]'")

LONGEST = 7
TEMPERATURE = 0.7
ADAM: dict[str, Any] = {"betas": (0.9, 0.99), "eps": 1e-3, "weight_decay": 0.0}


def groups() -> list[Group]:
    """Three groups of three: lengths 1 to 5, one truncated, one constant."""
    return [
        group("a", [1, 10, 2], trajectory([3, EOS], 1.0), trajectory([4, 4, 4, EOS], 0.0),
              trajectory([5, EOS], 0.0)),
        group("b", [7], trajectory([1, 2, 3, 4, 5], 0.0, truncated=True),
              trajectory([8, EOS], 1.0), trajectory([9, EOS], 0.25)),
        group("c", [3, 11, 3, 13], trajectory([0, EOS], 1.0), trajectory([6, 6, EOS], 1.0),
              trajectory([EOS], 1.0)),
    ]


def reference() -> Policy:
    """The policy, some noise away."""
    policy, generator = tiny_policy(), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return policy


class Oracle:
    """A real trainer on a model saved to disk, given ``groups`` in place of generation."""

    def __init__(
        self, folder: Path, groups: list[Group], loss_type: str, *,
        sampled_elsewhere: bool = False, **options: Any,
    ) -> None:
        from datasets import Dataset

        policy = tiny_policy()
        policy.model.save_pretrained(folder / "model")
        policy.tokenizer.save_pretrained(folder / "model")
        rows = [(g, t) for g in groups for t in g.trajectories]
        config = trl.GRPOConfig(
            output_dir=str(folder / "out"), loss_type=loss_type, num_generations=3,
            per_device_train_batch_size=len(rows), max_completion_length=LONGEST,
            temperature=TEMPERATURE, gradient_checkpointing=False, bf16=False, report_to="none",
            use_cpu=True, **options,
        )
        self.trainer = trl.GRPOTrainer(
            str(folder / "model"),
            reward_funcs=lambda completions, **_: [t.reward for _, t in rows],
            args=config,
            train_dataset=Dataset.from_dict({"prompt": [g.prompt_id for g in groups]}),
            rollout_func=lambda prompts, trainer: {
                "prompt_ids": [g.prompt_token_ids.tolist() for g, _ in rows],
                "completion_ids": [t.token_ids.tolist() for _, t in rows],
                "logprobs": [t.log_probs.tolist() for _, t in rows],
            },
        )
        self.trainer.use_vllm = sampled_elsewhere  # its correction is for vLLM's samples only
        self.trainer._last_loaded_step = 0  # or it would send vLLM the weights
        if self.trainer.ref_model is not None:
            self.trainer.ref_model.load_state_dict(reference().model.state_dict())
        self.model = self.trainer.model.train()
        self.trainer.current_gradient_accumulation_steps = 1  # the training loop sets it
        self.inputs = self.trainer._generate_and_score_completions(
            [{"prompt": g.prompt_id} for g, _ in rows]
        )

    def backward(self) -> float:
        self.model.zero_grad()
        loss = self.trainer._compute_loss(self.model, self.inputs)
        loss.backward()
        return float(loss.item())

    def logged(self) -> dict[str, float]:
        """The mean of what was logged since the start."""
        metrics = self.trainer._metrics["train"]
        return {name: sum(values) / len(values) for name, values in metrics.items() if values}


class Recorder(MasterAdamW):
    def step(self, learning_rate: float, max_norm: float | None) -> float:
        self.gradient = {n: m.grad.clone() for n, m in self._masters.items()}
        return super().step(learning_rate, max_norm)


def ours(
    groups: list[Group], mode: Any, objective: Objective, *, epochs: int, learning_rate: float
) -> tuple[UpdateResult, Recorder, Policy, Batch]:
    policy = tiny_policy()
    batch = Batch.of(
        groups, {g.prompt_id: 1.0 for g in groups},
        scale="none" if mode == "dr_grpo" else "std", mask_truncated=False,
    )
    plan = UpdatePlan(
        objective=objective, mode=mode, longest=LONGEST, temperature=TEMPERATURE, epochs=epochs,
        mini_batches=1, micro_batch_size=4, keep_zero_variance=True, max_grad_norm=None,
    )
    optimizer = Recorder(policy.trainable(), **ADAM)
    result = update(
        policy, optimizer, batch, plan,
        learning_rate=learning_rate, reference=reference,
    )
    return result, optimizer, policy, batch


def oracle(folder: Path, mode: str, objective: Objective, **options: Any) -> Oracle:
    return Oracle(
        folder, groups(), mode, beta=objective.beta,
        epsilon=objective.clip_low, epsilon_high=objective.clip_high,
        use_bias_correction_kl=objective.kl_correction,
        scale_rewards="none" if mode == "dr_grpo" else "group", **options,
    )


@pytest.mark.parametrize("mode", ["grpo", "dapo", "dr_grpo"])
@pytest.mark.parametrize(("beta", "correction"), [(0.0, False), (0.1, False), (0.1, True)])
def test_one_update_agrees_with_trl(
    mode: str, beta: float, correction: bool, tmp_path: Path
) -> None:
    objective = Objective(beta=beta, kl_correction=correction)
    theirs = oracle(tmp_path, mode, objective)
    loss = theirs.backward()
    result, optimizer, _, batch = ours(groups(), mode, objective, epochs=1, learning_rate=0.0)

    assert theirs.inputs["advantages"].tolist() == pytest.approx(batch.advantages, abs=1e-6)
    assert result.metrics["loss"] == pytest.approx(loss, abs=1e-5)
    expected = {name: weight.grad for name, weight in theirs.model.named_parameters()}
    assert expected.keys() == optimizer.gradient.keys()
    assert max(gradient.abs().max().item() for gradient in expected.values()) > 1e-2
    for name, gradient in optimizer.gradient.items():
        assert torch.allclose(gradient, expected[name], rtol=1e-5, atol=1e-5), name
    assert_same_metrics(
        result, theirs, {"entropy", "clip_ratio/region_mean"} | ({"kl"} if beta else set())
    )


@pytest.mark.parametrize("mode", ["grpo", "dapo", "dr_grpo"])
@pytest.mark.parametrize(("beta", "correction"), [(0.0, False), (0.1, False), (0.1, True)])
def test_several_epochs_with_a_higher_clip_agree_with_trl(
    mode: str, beta: float, correction: bool, tmp_path: Path
) -> None:
    objective = Objective(clip_low=0.2, clip_high=0.28, beta=beta, kl_correction=correction)
    theirs = oracle(tmp_path, mode, objective, num_iterations=3)
    adam = torch.optim.AdamW(theirs.model.parameters(), lr=0.01, **ADAM)
    losses = []
    for _ in range(3):
        losses.append(theirs.backward())
        adam.step()
    result, _, policy, _ = ours(groups(), mode, objective, epochs=3, learning_rate=0.01)

    assert result.metrics["loss"] == pytest.approx(sum(losses) / 3, abs=1e-5)
    weights = dict(policy.trainable())
    for name, weight in theirs.model.named_parameters():
        assert torch.allclose(weights[name], weight, rtol=0, atol=1e-5), name
    assert result.metrics["clip_ratio/low_mean"] > 0
    assert result.metrics["clip_ratio/high_mean"] > 0
    assert_same_metrics(result, theirs, {"entropy", "clip_ratio/low_mean", "clip_ratio/high_mean"})


def test_sequence_ratios_agree_with_trl(tmp_path: Path) -> None:
    # GSPO; pitfall 7: a ratio a response, times its length, would multiply the loss by it.
    objective = Objective(ratio="sequence", clip_low=0.01, clip_high=0.02, beta=0.1)
    assert_three_epochs_agree("grpo", objective, tmp_path, importance_sampling_level="sequence")


def test_clipped_weights_agree_with_trl(tmp_path: Path) -> None:
    # CISPO: TRL's epsilon_high is the bound itself, ours the distance from 1.
    objective = Objective(surrogate="cispo", clip_low=1.0, clip_high=0.05)
    result = assert_three_epochs_agree("cispo", objective, tmp_path, epsilon_high=1.05)
    assert result.metrics["clip_ratio/high_mean"] > 0


def assert_three_epochs_agree(
    loss_type: str, objective: Objective, folder: Path, **options: Any
) -> UpdateResult:
    theirs = Oracle(folder, groups(), loss_type, num_iterations=3, **{
        "beta": objective.beta, "epsilon": objective.clip_low,
        "epsilon_high": objective.clip_high, "use_bias_correction_kl": False, **options,
    })
    adam = torch.optim.AdamW(theirs.model.parameters(), lr=0.01, **ADAM)
    losses = []
    for _ in range(3):
        losses.append(theirs.backward())
        adam.step()
    mode = "dapo" if loss_type == "cispo" else loss_type
    result, _, policy, _ = ours(groups(), mode, objective, epochs=3, learning_rate=0.01)

    assert result.metrics["loss"] == pytest.approx(sum(losses) / 3, abs=1e-5)
    weights = dict(policy.trainable())
    for name, weight in theirs.model.named_parameters():
        assert torch.allclose(weights[name], weight, rtol=0, atol=1e-5), name
    moved = max((w - dict(tiny_policy().trainable())[n]).abs().max() for n, w in weights.items())
    assert moved > 0.01
    assert_same_metrics(result, theirs, {"entropy"} | ({"kl"} if objective.beta else set()))
    return result


@pytest.mark.parametrize(
    "kind", ["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]
)
def test_the_correction_of_the_sampler_agrees_with_trl(kind: Kind, tmp_path: Path) -> None:
    # The hand-made behaviour log-probs are -1 a token, far from the model's: most ratios are < 1.
    low, high = (0.1, 0.6) if kind.startswith("token") else (1e-4, 1e-2)
    theirs = Oracle(
        tmp_path, groups(), "grpo", sampled_elsewhere=True, beta=0.1,
        use_bias_correction_kl=False,
        vllm_importance_sampling_mode=kind, vllm_importance_sampling_clip_max=high,
        vllm_importance_sampling_clip_min=low if kind.endswith("mask") else None,
    )
    loss = theirs.backward()
    objective = Objective(correction=Correction(kind, low, high), beta=0.1)
    result, optimizer, _, _ = ours(groups(), "grpo", objective, epochs=1, learning_rate=0.0)

    assert result.metrics["loss"] == pytest.approx(loss, abs=1e-5)
    for name, weight in theirs.model.named_parameters():
        assert torch.allclose(optimizer.gradient[name], weight.grad, rtol=1e-5, atol=1e-5), name
    weights = theirs.inputs["importance_sampling_ratio"]
    assert (weights == (0.0 if kind.endswith("mask") else high)).any()
    name = "sampling/importance_sampling_ratio/mean"
    assert result.metrics[name] == pytest.approx(theirs.logged()[name], abs=1e-5)


def test_the_overlong_punishment_agrees_with_trl() -> None:
    lengths = list(range(21))
    from trl.rewards import get_soft_overlong_punishment

    theirs = get_soft_overlong_punishment(max_completion_len=20, soft_punish_cache=8)
    expected = theirs(completion_ids=[[1] * length for length in lengths])
    mine = Overlong(longest=20, buffer=8, penalty=1.0).penalties(np.array(lengths))
    assert mine.tolist() == pytest.approx(expected, abs=1e-12)
    assert sorted(set(expected)) == pytest.approx([-n / 8 for n in range(8, -1, -1)])


def test_the_entropy_bonus_agrees_with_trl(tmp_path: Path) -> None:
    """Under dapo, where the loss too is a mean over all tokens as TRL's bonus always is."""
    theirs = oracle(tmp_path, "dapo", Objective(), entropy_coef=0.3)
    loss = theirs.backward()
    result, optimizer, _, _ = ours(
        groups(), "dapo", Objective(entropy_coefficient=0.3), epochs=1, learning_rate=0.0
    )
    assert result.metrics["loss"] == pytest.approx(loss, abs=1e-5)
    for name, weight in theirs.model.named_parameters():
        assert torch.allclose(optimizer.gradient[name], weight.grad, rtol=1e-5, atol=1e-5), name


def test_rewards_and_lengths_are_summed_up_as_in_trl(tmp_path: Path) -> None:
    """Also with a completion that cannot be scored."""
    unscorable = [*groups(), group("d", [5], trajectory([1, EOS], None), trajectory([2, EOS], 1.0),
                                   trajectory([3, EOS], 0.0))]
    theirs = Oracle(tmp_path, unscorable, "grpo")
    metrics = group_metrics(unscorable)
    logged = theirs.logged()
    shared = metrics.keys() & logged.keys()
    assert {"reward", "reward_std", "frac_reward_zero_std", "completions/clipped_ratio"} < shared
    # All but what has no name there.
    own = {"frac_unscorable", *(name for name in metrics if name.startswith("verdict/"))}
    assert metrics.keys() - shared == own
    assert {n: metrics[n] for n in shared} == pytest.approx({n: logged[n] for n in shared})
    _, _, _, batch = ours(unscorable, "grpo", Objective(), epochs=1, learning_rate=0.0)
    assert theirs.inputs["advantages"].tolist() == pytest.approx(batch.advantages, abs=1e-6)


def assert_same_metrics(result: UpdateResult, theirs: Oracle, expected: set[str]) -> None:
    logged = theirs.logged()
    shared = (logged.keys() & result.metrics.keys()) - {
        "sampling/sampling_logp_difference/mean"  # TRL's is of vLLM only
    }
    assert expected <= shared
    assert {n: result.metrics[n] for n in shared} == pytest.approx(
        {n: logged[n] for n in shared}, abs=1e-5
    )
