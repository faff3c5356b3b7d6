"""The fast engine's rows are the reference engine's, whatever the projector makes of them."""

from __future__ import annotations

import pytest
from influence_cases import policy_of, prepared, random_group, relative_error, rows_of
from projector_cases import SMALL

from cropi.influence.engine import shapes_of
from cropi.influence.fast import Fast
from cropi.influence.reference import Reference

GROUPS = prepared(*[random_group(seed) for seed in range(3)])


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2"])  # tied heads, biases, Conv1D
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("prefix", ["shared", "repeated"])
def test_fast_equals_reference_in_float64(name: str, family: str, prefix: str) -> None:
    policy = policy_of(family)
    projection = SMALL[name].bind(shapes_of(policy), policy.device)
    fast = rows_of(Fast(prefix=prefix), policy, GROUPS, projection)
    reference = rows_of(Reference(prefix=prefix), policy, GROUPS, projection)
    assert reference.any(dim=1).all()
    for one, other in zip(fast, reference, strict=True):
        assert relative_error(one, other) < 1e-12
    assert relative_error(fast[0], reference[1]) > 0.1
