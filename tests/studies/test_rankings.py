"""One backward pass for many projections gives what each gives alone; halves are halves."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cropi.contracts import Projector
from cropi.influence.engine import shapes_of
from cropi.influence.estimator import Estimator
from cropi.influence.prepared import Prepared, prepare
from cropi.influence.reference import Reference
from cropi.policies.policy import Policy
from cropi.policies.template import PromptTemplate
from cropi.projectors.columns import Columns
from cropi.projectors.none import NoProjection
from cropi.projectors.sparse import Sparse
from cropi.studies.grid import Stack, cells
from cropi.studies.rankings import Scene, cosines, half, half_cosines
from cropi.types import Group, Trajectory, Verdict

CPU = torch.device("cpu")


def tiny() -> Policy:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=13, hidden_size=8, intermediate_size=12, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, initializer_range=0.3,
        tie_word_embeddings=True, pad_token_id=None, bos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    return Policy("tiny", model, None, PromptTemplate(chat=False), (12,), 11)  # type: ignore[arg-type]


def group(seed: int, samples: int = 6) -> Prepared:
    random = np.random.default_rng(seed)
    trajectories = tuple(
        Trajectory(
            np.append(random.integers(0, 11, 3), 12).astype(np.int32),
            -2.0 * random.random(4).astype(np.float32), "stop", "",
            Verdict(float(k % 3 == 0), "ok", "hand"),
        )
        for k in range(samples)
    )  # fmt: skip
    tokens = random.integers(0, 11, 3).astype(np.int32)
    ready = prepare(Group(f"p{seed}", tokens, trajectories))
    assert isinstance(ready, Prepared)
    return ready


SCENE_SETS = {"A": [group(100), group(101)], "B": [group(102)]}


def rows_of(policy: Policy, groups: list[Prepared], projector: Projector) -> Tensor:
    projection = projector.bind(shapes_of(policy), CPU)
    return torch.cat([
        part.rows for part in Reference().gradients(policy, groups, projection, Estimator())
    ])


def test_a_stack_is_its_parts() -> None:
    policy = tiny()
    groups = [group(seed) for seed in range(4)]
    parts: list[Projector] = [NoProjection(), Sparse(keep=0.5, k=32), Columns(keep=0.5, k=64)]
    shapes = shapes_of(policy)
    stack = Stack(shapes, [(p.bind(shapes, CPU), torch.float32) for p in parts])
    rows = torch.cat([
        part.rows for part in Reference().gradients(policy, groups, stack, Estimator())
    ])
    for found, projector in zip(stack.split(rows), parts, strict=True):
        torch.testing.assert_close(found, rows_of(policy, groups, projector))


def test_cosines_equal_the_plain_ones() -> None:
    policy = tiny()
    groups = [group(seed) for seed in range(5)]
    scene = Scene(policy, Estimator(), groups, SCENE_SETS)
    sparse = Sparse(keep=0.5, k=32)
    shapes = shapes_of(policy)
    exact, (projected, narrow), means = cosines(
        scene,
        [(sparse.bind(shapes, CPU), torch.float32), (sparse.bind(shapes, CPU), torch.float16)],
    )
    for found, projector in ((exact, NoProjection()), (projected, sparse)):
        rows = rows_of(policy, groups, projector)
        for m, ready in enumerate(SCENE_SETS.values()):
            mean = rows_of(policy, ready, projector).mean(dim=0)
            expected = torch.nn.functional.cosine_similarity(rows, mean[None])
            np.testing.assert_allclose(found[:, m], expected.numpy(), rtol=1e-4, atol=1e-6)
    assert not np.array_equal(narrow, projected)  # rounded first
    assert means.shape == (2, sum(s.numel for s in shapes))
    even, odd = half_cosines(scene, means)
    assert even.shape == odd.shape == (5, 2)
    assert not np.allclose(even, odd)
    rows = torch.cat([
        rows_of(policy, [part], NoProjection())
        for part in (half(each, 0) for each in groups) if part is not None
    ])  # fmt: skip
    expected = torch.nn.functional.cosine_similarity(rows, means[:1])
    np.testing.assert_allclose(even[:, 0], expected.numpy(), rtol=1e-4, atol=1e-6)


def test_halves_are_disjoint_and_whole_together() -> None:
    whole = group(3)
    even, odd = half(whole, 0), half(whole, 1)
    assert even is not None
    assert odd is not None
    assert np.concatenate([even.rewards, odd.rewards]).sum() == whole.rewards.sum()
    for part, kept in ((even, slice(0, None, 2)), (odd, slice(1, None, 2))):
        theirs = [whole.responses[i].tolist() for i in whole.response_of[kept]]
        assert [part.responses[i].tolist() for i in part.response_of] == theirs
    assert half(group(0, samples=2), 0) is None  # one trajectory says nothing


def test_the_grid_is_every_combination_once() -> None:
    grid = list(cells(["a", "b"], [0.1, 1.0], [8], ["float32"], 3))
    assert len(grid) == len(set(grid)) == 12
    assert len({cell.setting for cell in grid}) == 4
