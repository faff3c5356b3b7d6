"""Weights for another sampler, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from cropi.trainers.correction import Correction, Kind, correction_weights
from cropi.trainers.losses import LossInputs, Objective, policy_loss

# Two responses of 3 and 2 tokens; the last column of the second is padding that holds nonsense.
GAP = torch.tensor([[math.log(4.0), 0.0, math.log(0.25)], [math.log(0.5), math.log(0.5), 9.0]])
MASK = torch.tensor([[True, True, True], [True, True, False]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("token_truncate", [[2.0, 1.0, 0.25], [0.5, 0.5, 1.0]]),
        ("token_mask", [[0.0, 1.0, 0.0], [0.5, 0.5, 1.0]]),
        ("sequence_truncate", [[1.0], [0.25]]),  # products: 4 · 1 · 1/4 and 1/2 · 1/2
        ("sequence_mask", [[1.0], [0.0]]),
    ],
)
def test_weights(kind: Kind, expected: list[list[float]]) -> None:
    weights = correction_weights(GAP, MASK, Correction(kind, low=0.5, high=2.0))
    assert torch.allclose(weights, torch.tensor(expected), atol=1e-6)


def test_a_sequence_is_a_product_and_not_a_mean() -> None:
    # Pitfall 8: 1000 tokens of -0.001.
    gap, mask = torch.full((1, 1000), -0.001), torch.ones(1, 1000, dtype=torch.bool)
    weight = correction_weights(gap, mask, Correction("sequence_truncate"))
    assert weight.item() == pytest.approx(math.exp(-1.0), rel=1e-4)


def test_a_runaway_gap_stays_finite() -> None:
    gap, mask = torch.full((1, 500), 90.0), torch.ones(1, 500, dtype=torch.bool)
    for kind in ("token_mask", "token_truncate", "sequence_mask", "sequence_truncate"):
        weights = correction_weights(gap, mask, Correction(kind))  # type: ignore[arg-type]
        assert weights.unique().tolist() == [0.0 if kind.endswith("mask") else 2.0]


def test_weights_multiply_the_policy_term_and_nothing_else() -> None:
    log_probs = torch.full((2, 3), -1.0, requires_grad=True)
    inputs = LossInputs(
        log_probs=log_probs, old_log_probs=log_probs.detach(),
        behaviour_log_probs=log_probs.detach() - GAP, mask=MASK,
        advantages=torch.tensor([1.0, -2.0]), weights=torch.tensor([0.1, 0.3]),
        entropy=torch.ones(2, 3), reference_log_probs=torch.full((2, 3), -1.5),
    )
    plain = policy_loss(inputs, Objective(beta=0.2, entropy_coefficient=0.1))
    correction = Correction("token_mask", low=0.4)
    result = policy_loss(
        inputs, Objective(beta=0.2, entropy_coefficient=0.1, correction=correction)
    )
    # Of the first response only the token of ratio 1 is left, of the second two at one half.
    policy, corrected = -0.1 * 3 + 0.3 * 2 * 2, -0.1 * 1 + 0.3 * 2 * (0.5 + 0.5)
    assert (result.loss - plain.loss).item() == pytest.approx(corrected - policy, abs=1e-6)
    (gradient,) = torch.autograd.grad(result.loss, log_probs)
    assert torch.isfinite(gradient).all()
    name = "sampling/importance_sampling_ratio/mean"
    assert result.sums[name].item() / result.counts[name] == pytest.approx(2.0 / 5)
    assert name not in plain.sums
