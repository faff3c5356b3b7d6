"""Both layouts read the same log-probabilities, and the tree computes every prefix once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from influence_cases import EOS, group_of, policy_of, prepared, random_group

from cropi.influence.layout import repeated, shared
from cropi.influence.passes import edge_log_probs
from cropi.influence.plan import Pass, Work, batches, is_cheaper_shared
from cropi.influence.prepared import repeated_share
from cropi.policies.logprobs import TokenBatch, token_log_probs


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_log_probs_are_those_of_each_response_alone(family: str) -> None:
    policy = policy_of(family)
    groups = [random_group(seed, samples=6) for seed in range(5)]
    ready = prepared(*groups)
    with torch.no_grad():
        for layout in (shared(ready, 11), *[repeated([group], 11) for group in ready]):
            values = edge_log_probs(policy.model, layout)
            for group, edges in zip(layout.groups, layout.edges_of, strict=True):
                original = groups[int(group.prompt_id.removeprefix("prompt"))]
                for k, trajectory in enumerate(original.trajectories):
                    ids = trajectory.token_ids.tolist()
                    alone = token_log_probs(
                        policy.model, TokenBatch.of([group.prompt.tolist()], [ids], pad_id=11)
                    ).values[0]
                    torch.testing.assert_close(values[edges[k, : len(ids)]], alone)


def test_the_tree_by_hand() -> None:
    group = group_of(
        "a", [1, 2], [[3, 4, EOS], [3, 5, EOS], [3, EOS], [3, 4, EOS]], [1.0, 0.0, 0.0, 1.0],
        [[-1.0] * 3, [-1.0] * 3, [-1.0] * 2, [-1.0] * 3],
    )  # fmt: skip
    (ready,) = prepared(group)
    layout = shared([ready], 0)
    assert layout.ids.tolist() == [[1, 2, 3, 4, 5]]
    assert layout.positions.tolist() == [[0, 1, 2, 3, 3]]
    assert layout.attention[0].int().tolist() == [
        [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 0, 1],
    ]  # fmt: skip
    edges = list(zip(layout.columns.tolist(), layout.tokens.tolist(), strict=True))
    assert edges == [(1, 3), (2, 4), (3, EOS), (2, 5), (4, EOS), (2, EOS)]
    assert layout.edges_of[0].tolist() == [[0, 1, 2], [0, 3, 4], [0, 5, 0], [0, 1, 2]]
    assert layout.inputs == (5,)
    assert repeated_share([ready]) == pytest.approx(1 / 4)


def test_padding_sees_only_itself() -> None:
    ready = prepared(random_group(4), random_group(0))
    layout = shared(ready, 11)
    for row, size in enumerate(layout.inputs):
        mask = layout.attention[row]
        assert not mask[:size, size:].any()
        assert mask[size:].sum() == layout.ids.shape[1] - size


def test_one_token_responses() -> None:
    policy = policy_of("llama")
    group = group_of("a", [1, 2], [[EOS], [3]], [1.0, 0.0], [[-1.0], [-1.0]])
    (ready,) = prepared(group)
    for layout in (shared([ready], 11), repeated([ready], 11)):
        values = edge_log_probs(policy.model, layout)
        assert values.shape == (2,)
        assert layout.ids.shape[1] == 2


def test_sharing_pays_for_short_responses_and_small_models() -> None:
    short = prepared(random_group(0, samples=8))[0]
    work = Work(token=2 * 25e6, pair=4.0 * 512 * 8)
    assert is_cheaper_shared(short, work)
    ids = [np.random.default_rng(k).integers(0, 9, 256).tolist() for k in range(8)]
    long = prepared(group_of(
        "a", [1] * 20, ids, [float(k % 2) for k in range(8)], [[-1.0] * 256] * 8
    ))[0]  # fmt: skip
    assert not is_cheaper_shared(long, work)


def test_passes_keep_order_bounds_and_temperatures() -> None:
    groups = [random_group(seed) for seed in range(6)]
    hot = group_of("h", [1], [[2, EOS], [3, EOS]], [1.0, 0.0], [[-1.0] * 2] * 2, temperature=0.6)
    ready = prepared(*groups[:3], hot, *groups[3:])
    work = Work(1.0, 0.0)
    cut = list(batches(ready, prefix="shared", work=work, batch_tokens=60, most=2))
    assert [place for each in cut for place in each.places] == list(range(7))
    assert all(len(each.places) <= 2 for each in cut)
    assert Pass((3,), True) in cut
    for each in cut:
        if len(each.places) > 1:
            width = max(len(ready[p].prompt) + sum(map(len, ready[p].responses))
                        for p in each.places)
            assert width * len(each.places) <= 60
    single = list(batches(ready, prefix="repeated", work=work, batch_tokens=10**6, most=99))
    assert [each.places for each in single] == [(p,) for p in range(7)]
