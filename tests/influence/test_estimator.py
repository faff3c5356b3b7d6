"""The estimator's coefficients: numbers by hand, and autograd of every variant's surrogate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from influence_cases import (
    EOS,
    autograd_gradient,
    group_of,
    paper_objective,
    policy_of,
    prepared,
    random_group,
    relative_error,
    rows_of,
    whole,
)
from torch import Tensor

from cropi.advantages import group_advantages
from cropi.influence.estimator import Estimator, drift
from cropi.influence.fast import Fast
from cropi.influence.prepared import BROKEN, EQUAL, UNSCORED, Prepared, prepare
from cropi.influence.reference import Reference
from cropi.types import Verdict

NOW = torch.tensor([[-1.0, -2.0, 0.0], [-0.5, 0.0, 0.0]], dtype=torch.float64)
BEHAVIOUR = torch.tensor([[-1.5, -1.0, 0.0], [-1.0, 0.0, 0.0]], dtype=torch.float64)
MASK = torch.tensor([[True, True, False], [True, False, False]])
REWARDS = torch.tensor([1.0, 0.0], dtype=torch.float64)
RHO = np.exp([[0.5, -1.0], [0.5, 0.0]])
ADVANTAGE = 0.5 / (np.sqrt(0.5) + 1e-4)


def coefficients(**options: object) -> np.ndarray:
    return Estimator(**options).coefficients(NOW, BEHAVIOUR, MASK, REWARDS).numpy()  # type: ignore[arg-type]


def test_the_papers_coefficients_by_hand() -> None:
    expected = np.zeros((2, 3))
    expected[0, :2] = RHO[0] * ADVANTAGE / (2 * 2)  # K = 2 trajectories, |τ| = 2 and 1
    expected[1, 0] = -RHO[1, 0] * ADVANTAGE / (1 * 2)
    np.testing.assert_allclose(coefficients(), expected, rtol=1e-12)


def test_length_norms_differ_by_hand() -> None:
    """Influence trap 22 (trl#2995, #2881, #3138)."""
    paper = coefficients()
    group = coefficients(length_norm="group")
    none = coefficients(length_norm="none")
    np.testing.assert_allclose(group[0, :2], paper[0, :2] * 4 / 3, rtol=1e-12)
    np.testing.assert_allclose(group[1, 0], paper[1, 0] * 2 / 3, rtol=1e-12)
    np.testing.assert_allclose(none[0, :2], paper[0, :2] * 2, rtol=1e-12)
    np.testing.assert_allclose(none[1, 0], paper[1, 0], rtol=1e-12)


def test_sequence_weights_by_hand() -> None:
    whole = np.exp([-0.5, 0.5])
    sequence = coefficients(ratio="sequence", ratio_cap=1.0)
    np.testing.assert_allclose(sequence[0, :2], whole[0] * ADVANTAGE / 4, rtol=1e-12)
    np.testing.assert_allclose(sequence[1, 0], -1.0 * ADVANTAGE / 2, rtol=1e-12)  # capped
    normalised = coefficients(ratio="self_normalised")
    np.testing.assert_allclose(
        normalised[0, :2], whole[0] / whole.mean() * ADVANTAGE / 4, rtol=1e-12
    )
    assert coefficients(ratio="none")[1, 0] == pytest.approx(-ADVANTAGE / 2)


def test_a_cap_holds_for_ratios_beyond_floats() -> None:
    far = Estimator(ratio="sequence", ratio_cap=2.0).coefficients(
        torch.zeros(2, 1), torch.full((2, 1), -900.0), torch.ones(2, 1, dtype=torch.bool),
        torch.tensor([1.0, 0.0]),
    )  # fmt: skip
    assert far[0, 0].item() == pytest.approx(2.0 * ADVANTAGE / 2)


def test_ppo_clip_drops_what_moved_far_enough() -> None:
    found = coefficients(ppo_clip=0.2)
    assert found[0, 0] == 0.0  # better than average, already 1.65 times as likely
    assert found[0, 1] != 0.0  # less likely than it was: keep pushing
    assert found[1, 0] != 0.0  # worse than average, and more likely than it was


def test_options_that_contradict_are_refused() -> None:
    with pytest.raises(ValueError, match="ppo_clip"):
        Estimator(ratio="sequence", ppo_clip=0.2)
    with pytest.raises(ValueError, match="ratio_cap"):
        Estimator(ratio="none", ratio_cap=1.0)


def test_equal_rewards_give_exactly_zero() -> None:
    """Influence trap 28, pitfall 41: never 0/0, whatever the reward and its rounding."""
    for reward in (0.0, 1.0, 0.35):
        rewards = torch.full((7,), reward, dtype=torch.float64)
        shape = (7, 2)
        found = Estimator(reweight_advantage=True).coefficients(
            torch.randn(shape), torch.randn(shape), torch.ones(shape, dtype=torch.bool), rewards
        )
        assert not found.any()


# ── every variant against autograd of a surrogate written from its definition ────────────────

Weights = Callable[[Tensor, Tensor], Tensor]


def surrogate(weight: Weights, *, constant: bool) -> Callable[..., Tensor]:
    """1/K Σ 1/|τ| Σ w(log ρ) Â, or w held constant times log π."""

    def objective(now: Tensor, behaviour: Tensor, mask: Tensor, rewards: np.ndarray) -> Tensor:
        advantages = torch.from_numpy(group_advantages(rewards[None])[0])[:, None]
        log_ratio = (now - behaviour) * mask
        weights = weight(log_ratio, mask)
        terms = weights.detach() * now if constant else weights
        return ((terms * advantages * mask).sum(dim=1) / mask.sum(dim=1)).mean()

    return objective


def sequence(log_ratio: Tensor, mask: Tensor) -> Tensor:
    return torch.exp(log_ratio.sum(dim=1, keepdim=True)).clamp(max=1.0)


def self_normalised(log_ratio: Tensor, mask: Tensor) -> Tensor:
    whole = torch.exp(log_ratio.sum(dim=1, keepdim=True))
    return whole / whole.mean()


VARIANTS = {
    "token": ({"ratio": "token"}, surrogate(lambda r, m: torch.exp(r), constant=False)),
    "none": ({"ratio": "none"}, surrogate(lambda r, m: torch.ones_like(r), constant=True)),
    "capped": (
        {"ratio": "token", "ratio_cap": 1.5},
        surrogate(lambda r, m: torch.exp(r).clamp(max=1.5), constant=True),
    ),
    "sequence": (
        {"ratio": "sequence", "ratio_cap": 1.0}, surrogate(sequence, constant=True)
    ),
    "self": (
        {"ratio": "self_normalised"}, surrogate(self_normalised, constant=True)
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("prefix", ["shared", "repeated"])
def test_variants_equal_autograd(name: str, prefix: str) -> None:
    options, objective = VARIANTS[name]
    policy = policy_of("llama")
    groups = [random_group(seed) for seed in range(3)]
    rows = rows_of(
        Fast(prefix=prefix), policy, prepared(*groups), estimator=Estimator(**options)
    )
    for row, group in zip(rows, groups, strict=True):
        assert relative_error(row, autograd_gradient(policy, group, objective)) < 1e-9


def test_kl_equals_autograd() -> None:
    """k3 of the stored tokens, beside the advantages' part."""

    def objective(now: Tensor, behaviour: Tensor, mask: Tensor, rewards: np.ndarray) -> Tensor:
        log_ratio = now - behaviour
        k3 = torch.exp(-log_ratio) + log_ratio - 1.0
        penalty = ((k3 * mask).sum(dim=1) / mask.sum(dim=1)).mean()
        return paper_objective(now, behaviour, mask, rewards) - 0.3 * penalty

    policy = policy_of("llama")
    group = group_of("a", [1, 2], [[3, EOS], [4, EOS]], [1.0, 0.0], [[-1.0, -2.0], [-0.1, -3.0]])
    rows = rows_of(Reference(), policy, prepared(group), estimator=Estimator(kl=0.3))
    assert relative_error(rows[0], autograd_gradient(policy, group, objective)) < 1e-9


def test_reweighted_advantage_by_hand() -> None:
    found = coefficients(reweight_advantage=True)
    weights = np.exp([-0.25, 0.5])
    weights /= weights.sum()
    mean = weights[0]
    variance = (weights * np.array([1 - mean, -mean]) ** 2).sum() * 2
    expected = (1 - mean) / (np.sqrt(variance) + 1e-4) * RHO[0] / 4
    np.testing.assert_allclose(found[0, :2], expected, rtol=1e-10)


def test_at_the_behaviour_policy_every_ratio_is_one() -> None:
    """Influence trap 23 (trl#4159): also when sampling was at temperature 0.6."""
    policy = policy_of("llama", torch.float32)
    from cropi.policies.logprobs import TokenBatch, token_log_probs

    prompt, responses = [1, 2, 3], [[4, 5, EOS], [6, EOS]]
    batch = TokenBatch.of([prompt] * 2, responses, pad_id=0)
    with torch.no_grad():
        values = token_log_probs(policy.model, batch, temperature=0.6).values
    logs = [values[0].tolist(), values[1, :2].tolist()]
    group = group_of("a", prompt, responses, [1.0, 0.0], logs, temperature=0.6)
    for engine in (Reference(prefix="shared"), Fast(prefix="repeated")):
        (part,) = engine.gradients(policy, prepared(group), whole(policy), Estimator())
        assert part.columns["log_ratio"][0] < 1e-5
        assert part.columns["ess"][0] == pytest.approx(2.0, abs=1e-4)
    hot = group_of("a", prompt, responses, [1.0, 0.0], logs, temperature=1.0)
    (part,) = Fast().gradients(policy, prepared(hot), whole(policy), Estimator())
    assert part.columns["log_ratio"][0] > 0.01


# ── what is said of a group ──────────────────────────────────────────────────────────────────


def test_drift_by_hand() -> None:
    found = drift(NOW, BEHAVIOUR, MASK, REWARDS)
    assert found.log_ratio == pytest.approx((0.5 + 1.0 + 0.5) / 3)
    weights = np.exp([-0.5, 0.5]) / np.exp([-0.5, 0.5]).sum()
    assert found.ess == pytest.approx(1 / (weights**2).sum())
    assert found.pass_rate == pytest.approx(weights[0])
    assert found.high == pytest.approx(2 / 3)  # 1.65 twice
    assert found.low == 0.0


def test_the_gradient_follows_the_reward_and_the_pass_rate_counts_correctness() -> None:
    plain = group_of("a", [1], [[2, EOS], [3, EOS]], [1.5, 0.5], [[-1.0, -1.0]] * 2)
    formed = replace(plain, trajectories=tuple(
        replace(t, verdict=Verdict(t.reward, "ok", "hand", parts={"correctness": right}))
        for t, right in zip(plain.trajectories, (1.0, 1.0), strict=True)
    ))
    policy = policy_of("llama")
    (paid,), (right,) = (
        Reference().gradients(policy, prepared(g), whole(policy), Estimator())
        for g in (plain, formed)
    )
    assert torch.equal(paid.rows, right.rows)
    assert paid.rows.any()  # the rewards differ, though both are right
    assert right.columns["pass_rate"][0] == pytest.approx(1.0)


def test_one_bad_log_prob_condemns_one_prompt() -> None:
    """Influence trap 25 (trl#6297)."""
    bad = group_of("b", [1], [[2, EOS], [3, EOS]], [1.0, 0.0], [[-1.0, float("nan")], [-1.0, -1.0]])
    assert prepare(bad) == BROKEN
    assert isinstance(prepare(random_group(0)), Prepared)


def test_unscorable_trajectories_are_no_part_of_the_group() -> None:
    group = group_of(
        "a", [1], [[2, EOS], [3, EOS], [4, EOS]], [1.0, None, 0.0], [[-1.0, -1.0]] * 3
    )
    (ready,) = prepared(group)
    assert len(ready.rewards) == 2
    assert prepare(group_of("a", [1], [[2]], [None], [[-1.0]])) == UNSCORED
    policy = policy_of("llama")
    rows = rows_of(Reference(), policy, [ready])
    assert relative_error(rows[0], autograd_gradient(policy, group)) < 1e-9


def test_all_right_and_all_wrong_are_masked() -> None:
    for reward in (0.0, 1.0):
        group = group_of("a", [1], [[2, EOS], [3, EOS]], [reward] * 2, [[-1.0, -1.0]] * 2)
        assert prepare(group) == EQUAL
