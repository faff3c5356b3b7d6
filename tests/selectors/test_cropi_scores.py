"""What each option of Cropi does to its scores, against sums written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from influence_cases import autograd_gradient
from influence_pools import (
    DEAD,
    LIVE,
    MEANS,
    OVERFLOWS,
    POLICY,
    SETS,
    WIDE,
    cosines,
    cropi,
    exact_cosines,
    gradients,
    mean_gradients,
    scored,
)

from cropi.influence.directional import Directional
from cropi.influence.estimator import Estimator
from cropi.projectors.none import NoProjection
from cropi.projectors.sparse import Sparse
from cropi.types import Verdict


@pytest.mark.parametrize("metric", ["dot", "dot_cosine", "cosine"])
def test_each_metric_is_what_it_says(metric: str) -> None:
    rows = gradients(LIVE)
    dots, angles = rows @ MEANS.T, cosines(rows, MEANS)
    expected = {"dot": dots, "cosine": angles, "dot_cosine": dots * np.abs(angles)}[metric]
    scores = scored(metric=metric, fusion="max")
    for m, name in enumerate(SETS):
        np.testing.assert_allclose(
            scores.components[f"influence/{name}"], expected[:, m], rtol=2e-3, atol=1e-6
        )
    np.testing.assert_allclose(scores.values, expected.max(axis=1), rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(
        scores.components["norm"], np.linalg.norm(rows, axis=1), rtol=1e-4
    )


def test_a_validation_gradient_of_length_one_weighs_as_much_as_any_other() -> None:
    lengths = np.linalg.norm(gradients(SETS["A"]), axis=1, keepdims=True)
    mean = (gradients(SETS["A"]) / lengths).mean(axis=0)
    expected = cosines(gradients(LIVE), mean[np.newaxis])[:, 0]
    for projector in (NoProjection(), Sparse(keep=1.0, k=100_000)):
        scores = scored(normalise_validation=True, projector=projector)
        np.testing.assert_allclose(scores.components["influence/A"], expected, atol=1e-4)
        plain = scored(projector=projector).components["influence/A"]
        assert not np.allclose(plain, expected, atol=1e-3)


def sequence_capped(
    now: torch.Tensor, behaviour: torch.Tensor, mask: torch.Tensor, rewards: np.ndarray
) -> torch.Tensor:
    """1/K Σ_k min(Π_t ρ_kt, 1) Â_k mean_t log π_kt, the weight held constant."""
    weight = torch.exp(((now - behaviour) * mask).sum(dim=1)).clamp(max=1.0).detach()
    advantages = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)
    means = (now * mask).sum(dim=1) / mask.sum(dim=1)
    return (weight * torch.from_numpy(advantages) * means).mean()


def test_capped_sequence_weights_rank_otherwise_and_rightly() -> None:
    """The policy is far from β here, as in a late phase."""
    estimator = Estimator(ratio="sequence", ratio_cap=1.0)
    means = mean_gradients(SETS, sequence_capped)
    expected = cosines(gradients(LIVE, sequence_capped), means)
    scores = scored(estimator=estimator)
    np.testing.assert_allclose(scores.components["influence/A"], expected[:, 0], atol=1e-3)
    token = scored()
    np.testing.assert_allclose(
        token.components["influence/A"], exact_cosines(LIVE, SETS)[:, 0], atol=1e-3
    )
    assert not np.array_equal(scores.components["rank/A"], token.components["rank/A"])


def test_pass_rates_count_correctness_and_alignments_the_reward() -> None:
    """Paid for its form alone, a group has a gradient; the policy solves it no better for that."""
    formed = [
        replace(group, trajectories=tuple(
            replace(t, verdict=Verdict(t.reward, "ok", "hand", parts={"correctness": 0.0}))
            for t in group.trajectories
        ))
        for group in LIVE
    ]  # fmt: skip
    paid, wrong = scored(), scored(formed)
    assert wrong.values.tolist() == paid.values.tolist()
    for name in ("pass_rate", "pass_rate_stored"):
        assert paid.components[name].all()
        assert not wrong.components[name].any()


def test_now_means_under_the_policy_and_stored_means_under_beta() -> None:
    """pass_rate is Σ w R / Σ w with w the product of a trajectory's ratios."""
    scores = scored(mixed_group=3, mixed_shrink=0.25, fusion="max")
    rates, ratios = [], []
    for group in LIVE:
        log_ratio: list[torch.Tensor] = []

        def keep(now: Any, behaviour: Any, mask: Any, rewards: Any, to: Any = log_ratio) -> Any:
            to.append(((now - behaviour) * mask).detach())
            to.append(mask)
            return (now * mask).sum()

        autograd_gradient(WIDE, group, keep)
        weights = torch.exp(log_ratio[0].sum(dim=1)).numpy()
        rates.append((weights * group.rewards).sum() / weights.sum())
        ratios.append(float(log_ratio[0].abs().sum() / log_ratio[1].sum()))
    np.testing.assert_allclose(scores.components["pass_rate"], rates, rtol=1e-4)
    np.testing.assert_allclose(scores.components["log_ratio"], ratios, rtol=1e-4)
    np.testing.assert_allclose(
        scores.components["pass_rate_stored"], [g.rewards.mean() for g in LIVE]
    )
    shrunk = 0.75 * np.array(rates) + 0.25 * np.mean(rates)
    chance = 1 - shrunk**3 - (1 - shrunk) ** 3
    np.testing.assert_allclose(scores.components["mixed_chance"], chance, rtol=1e-4)
    plain = exact_cosines(LIVE, SETS)
    weighed = np.where(plain > 0, plain * chance[:, None], plain)
    np.testing.assert_allclose(scores.values, weighed.max(axis=1), atol=1e-4)
    # What was measured is shown as measured, the rank as it counted.
    np.testing.assert_allclose(scores.components["influence/A"], plain[:, 0], atol=1e-4)
    np.testing.assert_array_equal(
        scores.components["rank/A"], (-weighed[:, 0]).argsort().argsort() + 1.0
    )


@pytest.mark.parametrize("projector", [NoProjection(), Sparse(keep=1.0, k=100_000)])
def test_the_inverse_leaves_out_what_has_no_gradient(projector: Any) -> None:
    """(U Uᵀ + μI)⁻¹ U v over the prompts that have one, preconditioned alike."""
    scale = {name: torch.full_like(p, 0.25).detach() for name, p in POLICY.trainable()}
    scores = scored(
        [LIVE[0], OVERFLOWS, DEAD, *LIVE[1:]], inverse=2.0, projector=projector,
        precondition="adam", given={"second_moment": lambda: scale},
    )  # fmt: skip
    rows = gradients(LIVE)  # one factor for all coordinates turns nothing
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = np.linalg.solve(units @ units.T + 2.0 * np.eye(8), cosines(rows, MEANS))
    left = [0, *range(3, 10)]
    assert np.flatnonzero(scores.valid).tolist() == left
    for m, name in enumerate(SETS):
        found = scores.components[f"influence/{name}"][left]
        np.testing.assert_allclose(found, expected[:, m], atol=1e-4)
    assert scores.metrics["inverse/iterations"] == 0
    assert scores.metrics["inverse/residual"] < 1e-6


def test_directional_refuses_by_name_and_all_at_once() -> None:
    with pytest.raises(
        ValueError,
        match=r"set selector.metric=dot, selector.inverse=null, selector.precondition=none, "
        r"projector=none",
    ):
        cropi(engine=Directional(), inverse=1.0, precondition="adam", projector=Sparse())
    with pytest.raises(ValueError, match="metric=cosine"):
        cropi(inverse=1.0, metric="dot")
