"""KL estimators: values, means over samples and gradients."""

from __future__ import annotations

import math

import pytest
import torch

from cropi.trainers.kl import kl_penalty
from cropi.trainers.ratios import LIMIT, bounded_exp


def test_pinned_numbers() -> None:
    policy, reference = torch.tensor([-1.0, -2.0]), torch.tensor([-2.0, -1.0])
    assert kl_penalty(policy, reference, "k1").tolist() == [1.0, -1.0]
    assert kl_penalty(policy, reference, "k2").tolist() == [0.5, 0.5]
    assert kl_penalty(policy, reference, "k3").tolist() == pytest.approx([math.exp(-1), math.e - 2])


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_the_mean_over_the_policy_is_the_divergence(estimator: str) -> None:
    logits = torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64)
    policy, reference = logits.log_softmax(0), (2 * logits).log_softmax(0)
    exact = (policy.exp() * (policy - reference)).sum()
    mean = (policy.exp() * kl_penalty(policy, reference, estimator)).sum()
    assert mean.item() == pytest.approx(exact.item(), rel=1e-12)


def test_what_the_mean_gradients_of_the_estimators_are() -> None:
    # Pitfall 9, and what the option's comment says: k2's mean gradient is the KL's, k1's is zero.
    reference = torch.tensor([0.5, 0.2, -0.4], dtype=torch.float64).log_softmax(0)
    logits = torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64, requires_grad=True)
    policy = logits.log_softmax(0)
    (exact,) = torch.autograd.grad(
        (policy.exp() * (policy - reference)).sum(), logits, retain_graph=True
    )

    def mean_gradient(estimator: str) -> torch.Tensor:
        penalty = kl_penalty(policy, reference, estimator)
        mean = (policy.detach().exp() * penalty).sum()
        return torch.autograd.grad(mean, logits, retain_graph=True)[0]

    assert exact.abs().max() > 0.1
    assert torch.allclose(mean_gradient("k2"), exact)
    assert torch.allclose(mean_gradient("k1"), torch.zeros(3, dtype=torch.float64), atol=1e-15)
    assert mean_gradient("k3").abs().max() > 0.1


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@pytest.mark.parametrize("distance", [-1000.0, -30.0, -1.0, 1.0, 30.0, 1000.0])
def test_the_gradient_is_bounded_and_points_back(estimator: str, distance: float) -> None:
    log_prob = torch.tensor([distance], requires_grad=True)
    penalty = kl_penalty(log_prob, torch.zeros(1), estimator)
    penalty.backward()
    assert torch.isfinite(penalty)
    assert log_prob.grad is not None
    slope = log_prob.grad.item()
    assert 0 < abs(slope) <= 1.001 * math.exp(LIMIT)
    if estimator != "k1":  # descending moves the policy toward the reference, from either side
        assert math.copysign(1, slope) == math.copysign(1, distance)


def test_bounded_exp_is_exp_up_to_its_limit() -> None:
    x = torch.tensor([-50.0, -1.0, 0.0, 1.0, 19.9], dtype=torch.float64, requires_grad=True)
    y = bounded_exp(x)
    assert torch.equal(y, x.exp())
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, x.exp())
    assert bounded_exp(torch.zeros(1)).item() == 1.0
