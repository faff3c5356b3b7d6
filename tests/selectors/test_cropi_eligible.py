"""Which prompts Cropi may choose: equal rewards, overflows and broken gradients are left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from influence_cases import EOS, group_of, model_of, random_group, wrap
from influence_pools import (
    DEAD,
    LIVE,
    OVERFLOWS,
    POLICY,
    SETS,
    TARGET,
    context,
    cropi,
    flipped,
    named,
    pool_of,
    scored,
)

from cropi.influence.estimator import Estimator
from cropi.influence.fast import Fast
from cropi.influence.measuring import Influences
from cropi.influence.reference import Reference
from cropi.policies.logprobs import TokenBatch, token_log_probs
from cropi.projectors.columns import Columns
from cropi.projectors.none import NoProjection
from cropi.projectors.sparse import Sparse
from cropi.runtime.errors import CropiError
from cropi.types import Group, Verdict


@pytest.mark.parametrize("engine", [Fast(), Reference()])
@pytest.mark.parametrize("projector", [NoProjection(), Columns(keep=0.7, k=512)])
def test_no_signal_is_never_chosen_however_large_the_budget(projector: Any, engine: Any) -> None:
    """Influence trap 28, pitfall 41: also not before a prompt that points the wrong way."""
    alike = [named(TARGET, "same"), named(TARGET, "twin"), flipped(TARGET, "against")]
    dead = [replace(DEAD, prompt_id=f"dead{i}") for i in range(5)]
    selector = cropi(alpha=1.0, engine=engine, projector=projector)
    pool, groups = pool_of([*dead[:2], *alike, *dead[2:]])
    scores = selector.score(pool, context(groups, {"A": [TARGET]}))
    assert selector.select(scores, 8).ids == ("same", "twin", "against")
    assert selector.select(scores, 1).ids == ("same",)
    assert scores.valid.tolist() == [False, False, True, True, True, False, False, False]
    assert np.isnan(scores.components["influence/A"][[0, 1, 5, 6, 7]]).all()
    assert (scores.values[~scores.valid] == 0).all()
    chosen = selector.select(scores, 8)
    assert chosen.budget == 8
    assert chosen.weights == (1.0,) * 3


def test_prompts_of_the_pool_without_rollouts_are_counted_and_others_are_ignored() -> None:
    pool, groups = pool_of(LIVE)
    del groups["prompt3"]
    groups["stranger"] = named(TARGET, "stranger")
    scores = cropi().score(pool, context(groups, SETS))
    assert scores.ids == tuple(f"prompt{i}" for i in range(8))
    assert scores.valid.tolist() == [i != 3 for i in range(8)]
    assert scores.metrics["masked_share/no_rollouts"] == pytest.approx(1 / 8)
    assert scores.metrics["scored"] == 7


@pytest.mark.parametrize("projector", [NoProjection(), Sparse(keep=0.8, k=4096)])
def test_the_order_of_the_pool_moves_no_score(projector: Any) -> None:
    """Other prompts share the passes then; only the last bits of float32 may differ."""
    engine = Fast(batch_tokens=60)
    one = scored([*LIVE, DEAD, OVERFLOWS], projector=projector, engine=engine)
    shuffled = [OVERFLOWS, *LIVE[4:], DEAD, *LIVE[3::-1]]
    other = scored(shuffled, projector=projector, engine=engine)
    order = [other.ids.index(prompt_id) for prompt_id in one.ids]
    np.testing.assert_array_equal(one.values, other.values[order])
    np.testing.assert_array_equal(one.valid, other.valid[order])
    for name, column in one.components.items():
        np.testing.assert_allclose(
            column, other.components[name][order], rtol=1e-3, atol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("fusion", ["rrf", "mean", "max"])
@pytest.mark.parametrize("projector", [NoProjection(), Sparse(keep=0.8, k=4096)])
def test_one_overflow_is_left_out_and_the_metrics_stay_numbers(
    fusion: str, projector: Any
) -> None:
    scores = scored([*LIVE, OVERFLOWS], fusion=fusion, projector=projector)
    alone = scored(fusion=fusion, projector=projector)
    assert scores.valid.tolist() == [True] * 8 + [False]
    np.testing.assert_allclose(scores.values[:8], alone.values, rtol=1e-3, atol=1e-5)
    drift = {name: value for name, value in scores.metrics.items() if "drift" in name}
    assert drift == pytest.approx({n: v for n, v in alone.metrics.items() if "drift" in n})
    assert scores.metrics["scored"] == 8


@pytest.mark.parametrize("fusion", ["rrf", "mean", "max"])
def test_a_pool_that_only_overflows_is_told_at_the_choice(fusion: str) -> None:
    selector = cropi(fusion=fusion, average=0.5, mixed_group=4)
    pool, groups = pool_of([OVERFLOWS, DEAD])
    scores = selector.score(pool, context(groups, SETS))
    assert not scores.valid.any()
    assert np.isfinite(scores.values).all()
    with pytest.raises(CropiError, match="no prompt has a finite gradient"):
        selector.select(scores, 1)


@pytest.mark.parametrize("projector", [NoProjection(), Sparse(keep=0.8, k=4096)])
def test_a_prompt_that_breaks_the_model_breaks_alone(projector: Any) -> None:
    """One row of the embedding is NaN: whoever reads it is left out (influence trap 25)."""
    model = model_of("llama_untied", torch.float32)
    with torch.no_grad():
        model.get_input_embeddings().weight[10] = float("nan")
    sick, well = wrap(model), wrap(model_of("llama_untied", torch.float32))
    reads = group_of("reads", [10, 1], [[2, EOS], [3, EOS]], [1.0, 0.0], [[-1.0] * 2] * 2)
    others = [
        group for group in (random_group(seed) for seed in range(40))
        if not any(10 in ids for ids in (group.prompt_token_ids, *(
            t.token_ids for t in group.trajectories
        )))
    ]  # fmt: skip
    *clean, target = others
    assert len(clean) >= 3
    pool, groups = pool_of([clean[0], reads, *clean[1:]])
    results = [
        cropi(projector=projector, engine=Fast(batch_tokens=500)).score(
            pool, replace(context(groups, {"A": [target]}), policy=policy)
        )
        for policy in (sick, well)
    ]
    left = [0, *range(2, len(pool))]
    assert np.flatnonzero(~results[0].valid).tolist() == [1]
    assert results[1].valid.all()
    for name in ("influence/A", "norm", "pass_rate", "log_ratio"):
        np.testing.assert_allclose(
            results[0].components[name][left], results[1].components[name][left], rtol=1e-4,
            atol=1e-6, err_msg=name,
        )  # fmt: skip
    assert np.isfinite(list(results[0].metrics.values())).all()


@pytest.mark.parametrize("options", [{}, {"normalise_validation": True}, {"inverse": 1.0}])
def test_a_kl_term_does_not_bring_equal_rewards_back(options: dict[str, Any]) -> None:
    """While the policy is β their gradients are rounding errors, of any direction."""
    alive = [on_policy(group) for group in LIVE]
    dead = [all_right(group, f"dead{i}") for i, group in enumerate(alive)]
    sets = {"A": [on_policy(TARGET), *(replace(g, prompt_id=f"v{g.prompt_id}") for g in dead)]}
    more = {"estimator": Estimator(kl=0.1), **options}
    found = scored([*alive, *dead], sets, **more)
    assert found.valid.tolist() == [True] * 8 + [False] * 8
    clean = scored(alive, {"A": sets["A"][:1]}, **more)
    np.testing.assert_allclose(
        found.components["influence/A"][:8], clean.components["influence/A"], atol=1e-5
    )


def on_policy(group: Group) -> Group:
    """The group as if the policy itself had drawn it."""
    batches = [
        TokenBatch.of([group.prompt_token_ids.tolist()], [t.token_ids.tolist()], pad_id=0)
        for t in group.trajectories
    ]
    with torch.no_grad():
        now = [token_log_probs(POLICY.model, b, temperature=1.0).values[0] for b in batches]
    return replace(group, trajectories=tuple(
        replace(t, log_probs=values.numpy())
        for t, values in zip(group.trajectories, now, strict=True)
    ))  # fmt: skip


def all_right(group: Group, name: str) -> Group:
    trajectories = [replace(t, verdict=Verdict(1.0, "ok", "hand")) for t in group.trajectories]
    return replace(group, prompt_id=name, trajectories=tuple(trajectories))


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_a_gradient_of_length_zero_is_no_score(metric: str) -> None:
    columns = {"finite": np.ones(3)}
    found = Influences(
        np.array([[2.0], [0.0], [-6.0]]), np.array([4.0, 0.0, 4.0]), np.array([1.0]), columns
    )
    values, valid, _ = cropi(metric=metric).compare(found)
    assert valid.tolist() == [True, False, True]
    assert values[:, 0].tolist() == ([0.5, 0.0, -1.5] if metric == "cosine" else [2.0, 0.0, -6.0])
    assert columns["finite"].tolist() == [1.0, 1.0, 1.0]
