"""The three averages and the clipped loss, on numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cropi.trainers.losses import LossInputs, Objective, policy_loss, response_weights


def inputs(
    log_ratios: list[list[float]],
    advantages: list[float],
    weights: list[float],
    *,
    padding: int = 0,
    padding_value: float = 0.0,
) -> LossInputs:
    """Old log-probs are -1; a row's current ones are -1 + log ratio."""
    width = max(map(len, log_ratios)) + padding
    ratio = torch.full((len(log_ratios), width), padding_value)
    mask = torch.zeros_like(ratio, dtype=torch.bool)
    for row, values in enumerate(log_ratios):
        ratio[row, : len(values)] = torch.tensor(values)
        mask[row, : len(values)] = True
    old = torch.full_like(ratio, -1.0)
    return LossInputs(
        log_probs=(old + ratio).requires_grad_(),
        old_log_probs=old,
        behaviour_log_probs=old,
        mask=mask,
        advantages=torch.tensor(advantages),
        weights=torch.tensor(weights),
        entropy=torch.full_like(ratio, 2.0),
    )


def weights_of(mode: str, lengths: list[int], kept: list[bool] | None = None) -> list[float]:
    return response_weights(
        mode,
        np.array(lengths),
        np.array(kept or [True] * len(lengths)),
        longest=10,
    ).tolist()


@pytest.mark.parametrize(
    ("mode", "weights", "loss"),
    [
        # Pitfall 6: lengths 1 and 9, advantages 1 and -1/2; only the token's weight differs.
        ("grpo", [1 / 2, 1 / 18], -(1 / 2 - 1 / 4)),
        ("dapo", [1 / 10, 1 / 10], -(1 / 10 - 9 / 20)),
        ("dr_grpo", [1 / 20, 1 / 20], -(1 / 20 - 9 / 40)),  # 2 responses x longest 10, not x 9
    ],
)
def test_the_three_averages(mode: str, weights: list[float], loss: float) -> None:
    assert weights_of(mode, [1, 9]) == pytest.approx(weights, rel=1e-15)
    result = policy_loss(inputs([[0.0], [0.0] * 9], [1.0, -0.5], weights), Objective())
    assert result.loss.item() == pytest.approx(loss, rel=1e-6)


def test_left_out_responses_are_in_no_denominator() -> None:
    # Pitfall 4: the truncated response of 8 tokens is masked, the others have 2.
    kept = [True, True, True, False]
    assert weights_of("grpo", [2, 2, 2, 8], kept) == pytest.approx([1 / 6] * 3 + [0])
    assert weights_of("dapo", [2, 2, 2, 8], kept) == pytest.approx([1 / 6] * 3 + [0])
    assert weights_of("dr_grpo", [2, 2, 2, 8], kept) == pytest.approx([1 / 30] * 3 + [0])


@pytest.mark.parametrize("mode", ["grpo", "dapo", "dr_grpo"])
def test_nothing_kept_and_nothing_said(mode: str) -> None:
    # Pitfall 5: an empty response counts as one, without tokens.
    assert weights_of(mode, [0, 3], [False, False]) == [0, 0]
    assert all(map(math.isfinite, weights_of(mode, [0, 0])))
    if mode == "grpo":
        assert weights_of(mode, [0, 2])[1] == 1 / 4


@pytest.mark.parametrize("padding", [0, 5])
def test_padding_is_in_nothing(padding: int) -> None:
    # Pitfalls 7 and 11: lengths 2 and 6, with padding columns that hold nonsense.
    made = inputs(
        [[0.1, -0.1], [0.05] * 6], [1.0, -1.0], [1 / 4, 1 / 12],
        padding=padding, padding_value=3.0,
    )
    result = policy_loss(made, Objective(entropy_coefficient=0.5))
    first = (math.exp(0.1) + math.exp(-0.1)) / 2
    expected = -(first - math.exp(0.05)) / 2 - 0.5 * 2.0
    assert result.loss.item() == pytest.approx(expected, rel=1e-6)
    assert result.counts["entropy"] == 8
    assert result.sums["ratio/abs_log_mean"].item() == pytest.approx(0.2 + 0.3, rel=1e-5)
    assert result.sums["entropy"].item() == 16.0
    (gradient,) = torch.autograd.grad(result.loss, made.log_probs)
    assert not gradient[~made.mask].any()


def test_ratios_are_per_token() -> None:
    # Pitfall 8: 1000 tokens of -0.001 each; a sequence ratio by sums would be 0.368.
    result = policy_loss(inputs([[-0.001] * 1000], [1.0], [1 / 1000]), Objective())
    assert result.loss.item() == pytest.approx(-math.exp(-0.001), rel=1e-5)


def test_clipping_low_and_high() -> None:
    # Ratios .7, .9, 1.25, 1.4 for either sign, clipped to [.8, 1.28]; gradient only where free.
    ratios = [0.7, 0.9, 1.25, 1.4]
    logs = [math.log(r) for r in ratios]
    made = inputs([logs, logs], [1.0, -1.0], [1.0, 1.0])
    result = policy_loss(made, Objective(clip_low=0.2, clip_high=0.28))
    positive = 0.7 + 0.9 + 1.25 + 1.28
    negative = 0.8 + 0.9 + 1.25 + 1.4
    assert result.loss.item() == pytest.approx(-positive + negative, rel=1e-5)
    (gradient,) = torch.autograd.grad(result.loss, made.log_probs)
    assert gradient.flatten().tolist() == pytest.approx(
        [-0.7, -0.9, -1.25, 0, 0, 0.9, 1.25, 1.4], rel=1e-5
    )
    sums = {name: value.item() for name, value in result.sums.items()}
    assert (sums["clip_ratio/low_mean"], sums["clip_ratio/high_mean"]) == (1, 1)
    assert sums["clip_ratio/region_mean"] == 2
    assert sums["ratio/out_of_band"] == 2 * 3
    assert sums["ratio/mean"] == pytest.approx(2 * sum(ratios))


def test_a_runaway_ratio_stays_finite() -> None:
    made = inputs([[200.0, -200.0]], [-1.0], [1.0])
    result = policy_loss(made, Objective())
    (gradient,) = torch.autograd.grad(result.loss, made.log_probs)
    assert torch.isfinite(result.loss)
    assert torch.isfinite(gradient).all()
    assert gradient[0, 0] > 0  # still pushed down


def test_the_penalty_is_paid_and_differentiated() -> None:
    # Pitfalls 9 and 10: no advantage at all, beta 0.1, reference one nat away.
    made = inputs([[0.0, 0.0]], [0.0], [1 / 2])
    made = replace(made, reference_log_probs=torch.full((1, 2), -2.0))
    result = policy_loss(made, Objective(beta=0.1))
    assert result.loss.item() == pytest.approx(0.1 * math.exp(-1), rel=1e-6)
    assert result.sums["kl"].item() == pytest.approx(2 * math.exp(-1), rel=1e-6)
    (gradient,) = torch.autograd.grad(result.loss, made.log_probs)
    assert gradient.tolist()[0] == pytest.approx([0.05 * (1 - math.exp(-1))] * 2, rel=1e-6)


def test_the_corrected_penalty_has_the_gradient_of_the_divergence() -> None:
    # At ratio 1 the slope is k3 + (1 - exp(-x)) = x, the weight of a token's score in grad KL.
    made = inputs([[0.0, 0.0]], [0.0], [1 / 2])
    made = replace(made, reference_log_probs=torch.tensor([[-2.0, -0.5]]))
    result = policy_loss(made, Objective(beta=0.1, kl_correction=True))
    (gradient,) = torch.autograd.grad(result.loss, made.log_probs)
    assert gradient.tolist()[0] == pytest.approx([0.05 * 1.0, 0.05 * -0.5], rel=1e-6)


def test_a_penalty_without_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="reference"):
        policy_loss(inputs([[0.0]], [1.0], [1.0]), Objective(beta=0.1))


def test_the_sampler_gap_is_measured_before_any_update() -> None:
    # Pitfall 19: the sampler's log-probs differ though no update was made.
    made = inputs([[0.0, 0.0, 0.0]], [1.0], [1.0])
    made = replace(made, behaviour_log_probs=torch.tensor([[-1.0, -1.05, -1.2]]))
    sums = policy_loss(made, Objective()).sums
    assert sums["ratio/out_of_band"].item() == 0
    assert sums["sampling/ratio_out_of_band"].item() == 1
    assert sums["sampling/sampling_logp_difference/mean"].item() == pytest.approx(0.25, rel=1e-5)
