"""Inner products without projection, by dot products and by differences, against plain products."""

from __future__ import annotations

import pytest
import torch
from influence_cases import FAMILIES, autograd_gradient, policy_of, prepared, random_group, rows_of

from cropi.influence.directional import Directional
from cropi.influence.engine import shapes_of
from cropi.influence.estimator import Estimator
from cropi.influence.exact import Alignments
from cropi.influence.fast import Fast
from cropi.influence.reference import Reference
from cropi.runtime.errors import CropiError


def directions_of(policy: object, count: int = 2) -> torch.Tensor:
    return torch.stack([
        autograd_gradient(policy, random_group(100 + m)) for m in range(count)  # type: ignore[arg-type]
    ])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("engine", [Reference, Fast])
@pytest.mark.parametrize("prefix", ["shared", "repeated"])
def test_alignments_are_plain_inner_products(family: str, engine: type, prefix: str) -> None:
    """Norms too: a tied weight's two uses are one gradient before it is squared."""
    policy = policy_of(family)
    groups = [random_group(seed) for seed in range(3)]
    directions = directions_of(policy)
    projection = Alignments(shapes_of(policy), directions)
    rows = rows_of(engine(prefix=prefix), policy, prepared(*groups), projection)
    gradients = torch.stack([autograd_gradient(policy, group) for group in groups])
    expected = torch.cat([gradients @ directions.T, gradients.square().sum(1, keepdim=True)], 1)
    torch.testing.assert_close(rows, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("prefix", ["shared", "repeated"])
@pytest.mark.parametrize(
    "estimator",
    [
        Estimator(), Estimator(ratio="sequence", ratio_cap=1.0), Estimator(ratio="self_normalised"),
        Estimator(kl=0.1), Estimator(reweight_advantage=True, length_norm="none"),
    ],
)  # fmt: skip
def test_differences_equal_the_exact_products(prefix: str, estimator: Estimator) -> None:
    """To 1e-4 of the largest, in float64 with steps of 1e-3; every estimator, weights constant."""
    policy = policy_of("llama")
    ready = prepared(*[random_group(seed) for seed in range(5)])
    projection = Alignments(shapes_of(policy), directions_of(policy))
    exact = rows_of(Reference(), policy, ready, projection, estimator)[:, :2]
    found = rows_of(Directional(prefix=prefix, step=1e-3), policy, ready, projection, estimator)
    assert float((found[:, :2] - exact).abs().max() / exact.abs().max()) < 1e-4


def test_differences_in_float32() -> None:
    """On the tiny model relative to each product, at the default step (the issue's bound)."""
    policy = policy_of("llama", torch.float32)
    ready = prepared(*[random_group(seed) for seed in range(8)])
    directions = directions_of(policy)
    projection = Alignments(shapes_of(policy), directions.float())
    exact = rows_of(Reference(), policy, ready, projection)[:, :2]
    found = rows_of(Directional(step=1e-2), policy, ready, projection)[:, :2]
    assert float((found - exact).norm() / exact.norm()) < 2e-3


def test_differences_leave_the_weights_bit_for_bit() -> None:
    policy = policy_of("llama", torch.float32)
    before = policy.fingerprint()
    projection = Alignments(shapes_of(policy), directions_of(policy).float())
    list(Directional().gradients(policy, prepared(random_group(0)), projection, Estimator()))
    assert policy.fingerprint() == before


def test_differences_refuse_narrow_weights() -> None:
    policy = policy_of("llama", torch.bfloat16)
    projection = Alignments(shapes_of(policy), directions_of(policy).float())
    with pytest.raises(CropiError, match="bfloat16"):
        list(Directional().gradients(policy, prepared(random_group(0)), projection, Estimator()))


def test_a_zero_direction_has_slope_zero() -> None:
    policy = policy_of("llama")
    directions = torch.zeros_like(directions_of(policy))
    projection = Alignments(shapes_of(policy), directions)
    rows = rows_of(Directional(), policy, prepared(random_group(0)), projection)
    assert not rows.any()
