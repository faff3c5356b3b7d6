"""Losses and advantages on one batch, pinned to what verl 0.9.1 gives for it.

The numbers come from ``compute_policy_loss_gspo``, ``compute_policy_loss_cispo``,
``compute_policy_loss_vanilla`` and ``compute_rloo_outcome_advantage`` of its
``trainer/ppo/core_algos.py``, in float32. With verl installed they are computed again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cropi.advantages import group_advantages
from cropi.trainers.losses import LossInputs, Mode, Objective, policy_loss, response_weights

LENGTHS = [4, 1, 3]
ADVANTAGES = [1.0, -0.5, 2.0]
OLD = [[-1.0, -0.2, -2.0, -0.7], [-0.3, 0.0, 0.0, 0.0], [-1.5, -0.4, -0.9, 0.0]]
NEW = [[-0.8, -0.5, -1.6, -0.7], [-0.6, 0.0, 0.0, 0.0], [-1.1, -0.3, -1.3, 0.0]]
REWARDS = [1.0, 0.0, 0.0, 0.5]

PINNED = {
    "gspo": -0.8742634654, "gspo/gradient": -0.6892634630,
    "cispo": 1.1662781239, "cispo/gradient": -1.2727180719,
    "vanilla": -1.2441504002, "vanilla/gradient": -0.8141503334,
}


def mask() -> torch.Tensor:
    return torch.tensor([[t < length for t in range(4)] for length in LENGTHS])


CASES = {
    "gspo": (Objective(ratio="sequence", clip_low=0.03, clip_high=0.04), "grpo"),
    "cispo": (Objective(surrogate="cispo", clip_low=0.2, clip_high=0.25), "dapo"),
    "vanilla": (Objective(clip_low=0.2, clip_high=0.28), "dapo"),
}


def ours(objective: Objective, mode: Mode) -> tuple[float, torch.Tensor]:
    log_probs = torch.tensor(NEW, requires_grad=True)
    lengths = np.array(LENGTHS)
    result = policy_loss(
        LossInputs(
            log_probs=log_probs, old_log_probs=torch.tensor(OLD),
            behaviour_log_probs=torch.tensor(OLD), mask=mask(),
            advantages=torch.tensor(ADVANTAGES),
            weights=torch.tensor(
                response_weights(mode, lengths, np.ones(3, dtype=bool), 4), dtype=torch.float32
            ),
            entropy=torch.zeros(3, 4),
        ),
        objective,
    )
    (gradient,) = torch.autograd.grad(result.loss, log_probs)
    return result.loss.item(), gradient


def theirs(name: str, objective: Objective, mode: Mode) -> tuple[float, torch.Tensor]:
    core = pytest.importorskip(
        "verl.trainer.ppo.core_algos", reason="the oracle itself needs verl: pip install verl"
    )
    from verl.workers.config import ActorConfig

    config: Any = ActorConfig(
        strategy="fsdp", rollout_n=3, ppo_micro_batch_size_per_gpu=1,
        clip_ratio_low=objective.clip_low, clip_ratio_high=objective.clip_high,
    )
    log_probs = torch.tensor(NEW, requires_grad=True)
    advantages = torch.tensor(ADVANTAGES).unsqueeze(1).expand(3, 4)
    function = core.get_policy_loss_fn(name)
    loss, *_ = function(
        torch.tensor(OLD), log_probs, advantages, mask().float(),
        loss_agg_mode="seq-mean-token-mean" if mode == "grpo" else "token-mean", config=config,
    )
    (gradient,) = torch.autograd.grad(loss, log_probs)
    return loss.item(), gradient


@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_the_pinned_number(name: str) -> None:
    loss, gradient = ours(*CASES[name])
    assert loss == pytest.approx(PINNED[name], abs=2e-6)
    assert gradient.sum().item() == pytest.approx(PINNED[f"{name}/gradient"], abs=2e-6)


@pytest.mark.parametrize("name", CASES)
def test_verl_gives_the_pinned_number(name: str) -> None:
    loss, gradient = theirs(name, *CASES[name])
    assert loss == pytest.approx(PINNED[name], abs=2e-6)
    assert gradient.sum().item() == pytest.approx(PINNED[f"{name}/gradient"], abs=2e-6)
    assert torch.allclose(gradient, ours(*CASES[name])[1], atol=2e-6)


def test_leaving_one_out_is_the_pinned_advantage() -> None:
    expected = [1.0 - 0.5 / 3, -0.5, -0.5, 0.5 - 1.0 / 3]  # each less the others' mean, by hand
    found = group_advantages([REWARDS], "none", "leave_one_out")[0]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def test_verl_leaves_one_out_likewise() -> None:
    core = pytest.importorskip(
        "verl.trainer.ppo.core_algos", reason="the oracle itself needs verl: pip install verl"
    )
    rewards = torch.tensor(REWARDS).unsqueeze(1)
    index = np.array(["a"] * 4, dtype=object)
    found, _ = core.compute_rloo_outcome_advantage(rewards, torch.ones(4, 1), index)
    expected = group_advantages([REWARDS], "none", "leave_one_out")[0]
    assert found[:, 0].tolist() == pytest.approx(expected, abs=1e-6)
