"""Cropi on small hand-made pools: what each option does to scores, against sums written out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_influence_selectors import (
    DEAD,
    LIVE,
    PLANTED,
    POLICY,
    SETS,
    TARGET,
    context,
    cropi,
    exact_cosines,
    flipped,
    named,
    pool_of,
)

# The module above has put the folder of these on the path.
from influence_cases import (  # isort: skip
    EOS, autograd_gradient, group_of, model_of, paper_objective, policy_of, random_group, wrap,
)

from cropi.contracts import SelectionContext
from cropi.influence.directional import Directional
from cropi.influence.estimator import Estimator
from cropi.influence.fast import Fast
from cropi.influence.measuring import Influences
from cropi.influence.reference import Reference
from cropi.policies.logprobs import TokenBatch, token_log_probs
from cropi.projectors.columns import Columns
from cropi.projectors.none import NoProjection
from cropi.projectors.sparse import Sparse
from cropi.runtime.errors import CropiError
from cropi.selectors.files import read_scores, write_selection
from cropi.types import Group, Scores, Verdict

WIDE = policy_of("llama")
OVERFLOWS = group_of("overflows", [1, 2], [[3], [4]], [1.0, 0.0], [[-500.0], [-1.0]])


def scored(
    groups: Sequence[Group] = LIVE, sets: Mapping[str, Sequence[Group]] = SETS, *,
    given: Mapping[str, Any] | None = None, **options: Any,
) -> Scores:  # fmt: skip
    pool, by_id = pool_of(groups)
    return cropi(**options).score(pool, context(by_id, sets, **(given or {})))


def gradients(groups: Sequence[Group], objective: Any = paper_objective) -> np.ndarray:
    return torch.stack([autograd_gradient(WIDE, group, objective) for group in groups]).numpy()


def cosines(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (
        rows @ others.T
        / np.linalg.norm(rows, axis=1)[:, None] / np.linalg.norm(others, axis=1)
    )  # fmt: skip


MEANS = np.stack([gradients(groups).mean(axis=0) for groups in SETS.values()])


# ── who may be chosen ────────────────────────────────────────────────────────────────────────


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


# ── how scores are made ──────────────────────────────────────────────────────────────────────


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
    means = np.stack([gradients(s, sequence_capped).mean(axis=0) for s in SETS.values()])
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


# ── phases ───────────────────────────────────────────────────────────────────────────────────


def test_refresh_is_the_selectors_word() -> None:
    assert cropi().refresh == "phase"
    assert cropi(refresh="once").refresh == "once"
    with pytest.raises(ValueError, match="refresh"):
        cropi(refresh="sometimes")


def test_a_past_is_kept_for_a_prompt_that_has_no_gradient_for_a_while(tmp_path: Path) -> None:
    """Scores of three phases, each read back from the last one's file as in a run."""
    selector = cropi(average=0.5, alpha=0.5)
    pool, full = pool_of(LIVE)
    without = {
        **full, "prompt3": flipped(LIVE[3], "prompt3"), "prompt2": named(DEAD, "prompt2"),
    }  # fmt: skip
    del without["prompt5"]
    own = {  # each phase's standardised scores, by itself
        name: selector.score(pool, context(groups, SETS)).components["average/A"]
        for name, groups in (("full", full), ("without", without))
    }
    previous: Scores | None = None
    found = []
    for phase, groups in enumerate((full, without, full)):
        scores = selector.score(
            pool, context(groups, SETS, phase=phase, previous=lambda past=previous: past)
        )
        folder = tmp_path / str(phase)
        write_selection(folder, selector.select(scores, 4), scores, {p.id: p for p in pool})
        previous = read_scores(folder)
        found.append(scores)
    gone = [2, 5]
    assert np.isnan(own["without"][gone]).all()
    now = np.nan_to_num(own["without"])
    second = 0.5 * own["full"] + 0.5 * now  # the missing ones' past fades by half
    np.testing.assert_allclose(found[1].components["average/A"], second, atol=1e-6)
    assert not found[1].valid[gone].any(), "a past alone does not make it eligible"
    left = [i for i in range(8) if i not in gone]
    ranks = (-second[left]).argsort().argsort() + 1.0  # the average is what counts
    np.testing.assert_array_equal(found[1].components["rank/A"][left], ranks)
    assert not np.array_equal(ranks, (-now[left]).argsort().argsort() + 1.0)
    assert set(selector.select(found[1], 8).ids).isdisjoint({"prompt2", "prompt5"})
    third = 0.5 * second + 0.5 * own["full"]
    np.testing.assert_allclose(found[2].components["average/A"], third, atol=1e-6)


def test_a_new_prompt_and_a_new_set_have_no_past() -> None:
    pool, groups = pool_of(LIVE)
    before = cropi(average=0.7).score(pool[1:], context(groups, {"A": SETS["A"]}))
    now = cropi(average=0.7).score(
        pool, context(groups, SETS, phase=1, previous=lambda: before)
    )
    alone = cropi(average=0.7).score(pool, context(groups, SETS))
    np.testing.assert_array_equal(now.components["average/B"], alone.components["average/B"])
    assert now.components["average/A"][0] == alone.components["average/A"][0]
    np.testing.assert_allclose(
        now.components["average/A"][1:],
        0.7 * before.components["average/A"] + 0.3 * alone.components["average/A"][1:],
    )


# ── what is left behind ──────────────────────────────────────────────────────────────────────


def test_rows_go_to_the_phases_folder_or_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    one = scored(projector=Sparse(k=64))
    assert not list((tmp_path / "temporary").iterdir())
    other = scored(projector=Sparse(k=64), given={"folder": tmp_path / "phase"})
    np.testing.assert_array_equal(one.values, other.values)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("store.json")) == [
        "phase/gradients/train/store.json", "phase/gradients/validation/A/store.json",
        "phase/gradients/validation/B/store.json",
    ]  # fmt: skip


def test_scoring_leaves_the_policy_as_it_was() -> None:
    policy = policy_of("llama", torch.float32)
    before = policy.fingerprint()
    pool, groups = pool_of(PLANTED)
    for options in ({}, {"engine": Reference()}, {"engine": Directional(), "metric": "dot"}):
        cropi(**options).score(
            pool, SelectionContext(
                phase=0, seed=0, policy=policy, rollouts=groups, validation={"A": [TARGET]}
            ),
        )  # fmt: skip
        assert policy.fingerprint() == before
        assert all(p.grad is None for _, p in policy.trainable())
