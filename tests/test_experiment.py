"""The whole loop on the smallest real model: every combination runs, every cost is charged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import Field

from cropi.composition import compose
from cropi.contracts import Requirement, SelectionContext, Selector
from cropi.rollouts.store import read_shard
from cropi.run import RunResult, run_experiment
from cropi.runtime.errors import ConfigError, CropiError, DataError
from cropi.runtime.parts import part
from cropi.selectors.files import read_scores, read_selection
from cropi.selectors.ranking import take_top
from cropi.types import Prompt, Scores, Selection

SELECTORS = ("full", "random", "pass_rate", "learnability")
TRAINERS = ("grpo", "dapo", "dr_grpo")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def go(
    runs: Path, cache: Path, *overrides: str, choices: dict[str, str] | None = None
) -> RunResult:
    config = compose(["debug=tiny", f"runs={runs}", f"cache={cache}", *overrides])
    return run_experiment(config, choices)


def records(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_selector_runs_with_every_trainer(
    tmp_path: Path, cache: Path, selector: str, trainer: str
) -> None:
    result = go(tmp_path, cache, f"selector={selector}", f"trainer={trainer}", "steps_per_phase=1")
    assert [r["step"] for r in records(result.folder, "train")] == [1, 2]
    assert [r["phase"] for r in records(result.folder, "selection")] == [0, 1]
    assert [r["step"] for r in records(result.folder, "evaluation")] == [0, 1, 2]
    assert 0 <= result.metrics["eval/all"] <= 1
    assert (result.folder / "final" / "model.safetensors").exists()


def test_a_selector_without_rollouts_is_charged_for_none(tmp_path: Path, cache: Path) -> None:
    for selector, draws in (("full", False), ("random", False), ("learnability", True)):
        result = go(tmp_path, cache, f"selector={selector}", "steps_per_phase=1")
        assert ("offline_rollout" in result.cost.amounts) == draws
        assert (result.folder / "rollouts").exists() == draws


def test_costs_are_the_tokens_that_are_on_disk(tmp_path: Path, cache: Path) -> None:
    result = go(tmp_path, cache, "selector=learnability")
    stored = [
        group for path in sorted((result.folder / "rollouts" / "train").glob("*.parquet"))
        for group in read_shard(path)
    ]
    assert len(stored) == 60
    spent = result.cost.amounts
    assert spent["offline_rollout"]["generated_tokens"] == sum(
        len(t.token_ids) for g in stored for t in g.trajectories
    )
    assert spent["offline_rollout"]["graded"] == 60 * 4
    last = records(result.folder, "train")[-1]["metrics"]
    assert last["cost/training/generated_tokens"] <= last["num_tokens"]
    assert spent["training"]["seconds"] > 0
    assert spent["selection"]["seconds"] > 0
    assert result.cost.total("seconds", without=("evaluation",)) < result.cost.total("seconds")


def test_once_keeps_the_first_selection_and_phase_may_change_it(
    tmp_path: Path, cache: Path
) -> None:
    chosen = {}
    for refresh in ("once", "phase"):
        result = go(tmp_path, cache, "selector=random", f"selector.refresh={refresh}",
                    "selector.alpha=0.2", "steps_per_phase=1")
        chosen[refresh] = [read_selection(result.folder / f"phases/00{p}").ids for p in (0, 1)]
        overlap = records(result.folder, "selection")[1]["metrics"]["selection/overlap_last"]
        assert overlap == len(set(chosen[refresh][0]) & set(chosen[refresh][1])) / 12
    assert chosen["once"][0] == chosen["once"][1] == chosen["phase"][0]
    assert chosen["phase"][0] != chosen["phase"][1]


def test_the_first_phase_does_not_depend_on_refreshing(tmp_path: Path, cache: Path) -> None:
    # testbed.md: stage 0 of a static and a refreshed method is the same selection and curve.
    curves = []
    for refresh in ("once", "phase"):
        result = go(tmp_path, cache, "selector=learnability", f"selector.refresh={refresh}")
        rows = [r for r in records(result.folder, "evaluation") if r["step"] <= 3]
        curves.append([
            {k: v for k, v in r["metrics"].items() if k.startswith("eval/")} for r in rows
        ])
    assert curves[0] == curves[1]


def test_overlong_prompts_are_dropped_and_counted(tmp_path: Path, cache: Path) -> None:
    result = go(tmp_path, cache, "selector=random", "benchmark.max_prompt_tokens=6",
                "steps_per_phase=1")
    report = (result.folder / "data.txt").read_text()
    assert "train: dropped" in report
    assert "(overlong)" in report
    kept = len(read_scores(result.folder / "phases/000").ids)
    assert 0 < kept < 60
    with pytest.raises(DataError, match=r"all \d+ prompts were dropped .*raise benchmark\.max_pr"):
        go(tmp_path, cache, "selector=random", "benchmark.max_prompt_tokens=2")


def test_a_model_that_cannot_read_the_benchmark_says_so(tmp_path: Path, cache: Path) -> None:
    files = {name: tmp_path / f"{name}.jsonl" for name in ("train", "test")}
    for name, path in files.items():
        path.write_text("".join(
            json.dumps({"question": f"How many legs have {n} {name} cats?", "answer": str(4 * n)})
            + "\n" for n in range(1, 11)
        ))
    with pytest.raises(CropiError, match="cannot spell prompt"):
        go(tmp_path, cache, "benchmark=local", f"benchmark.train_file={files['train']}",
           f"benchmark.test_file={files['test']}", "verifier=numeric",
           "~benchmark.pool_size", "~benchmark.validation_size", "~benchmark.test_size")


@part
class Watcher(Selector):
    """Asks for what it is told to, draws fresh groups, and remembers what it was given."""

    alpha: float = 0.5
    refresh: Any = "phase"
    asks: list[Requirement] = Field(default_factory=list)
    draws: int = 0  # fresh groups of the pool, and of each validation set, every phase
    seen: ClassVar[list[SelectionContext]] = []
    observed: ClassVar[list[int]] = []

    def needs(self) -> frozenset[Requirement]:
        return frozenset(self.asks)

    def score(self, pool: Sequence[Prompt], context: SelectionContext) -> Scores:
        self.seen.append(context)
        assert context.fresh is not None
        if self.draws:
            context.fresh("train", pool[: self.draws])
        for name, used in context.validation_prompts.items():
            context.fresh(f"validation/{name}", used[: self.draws])
        n = len(pool)
        return Scores(tuple(p.id for p in pool), np.arange(n, dtype=float), np.ones(n, dtype=bool))

    def select(self, scores: Scores, budget: int) -> Selection:
        return take_top(scores, budget, lambda i: "last", empty="empty")

    def observe(self, step: int, groups: Sequence[Any]) -> None:
        self.observed.append(step)


def watch(folder: Path, cache: Path, *overrides: str) -> tuple[RunResult, list[SelectionContext]]:
    """A run with one class and one YAML outside the package, as the README shows."""
    (folder / "selector").mkdir()
    (folder / "selector" / "watcher.yaml").write_text(
        f"# Watches.\n_target_: {__name__}.Watcher\nalpha: 0.5\nasks: []\ndraws: 0\n"
    )
    Watcher.seen.clear()
    Watcher.observed.clear()
    config = compose(
        ["debug=tiny", "selector=watcher", f"runs={folder}", f"cache={cache}",
         "steps_per_phase=1", "offline.validation_prompts=5", *overrides],
        config_dir=folder,
    )
    return run_experiment(config), Watcher.seen


def test_a_users_selector_gets_what_it_needs(tmp_path: Path, cache: Path) -> None:
    result, (first, second) = watch(
        tmp_path, cache, "selector.asks=[rollouts,validation]", "offline.sampling.temperature=0.5"
    )
    assert (first.phase, second.phase) == (0, 1)
    assert len(first.rollouts) == len(second.rollouts) == 60
    assert {name: len(groups) for name, groups in first.validation.items()} == {"A": 5, "B": 5}
    assert all(len(g.trajectories) == 4 for g in first.validation["A"])
    assert {g.temperature for g in second.rollouts.values()} == {0.5}
    assert Watcher.observed == [1, 2]
    assert len(read_selection(result.folder / "phases/000").ids) == 30
    # Frozen rollouts: the second phase sees the same groups, though the policy has moved.
    for prompt_id, group in first.rollouts.items():
        again = second.rollouts[prompt_id]
        assert [t.text for t in group.trajectories] == [t.text for t in again.trajectories]


def test_fresh_rollouts_without_any_of_the_starting_policy(tmp_path: Path, cache: Path) -> None:
    result, (first, second) = watch(
        tmp_path, cache, "selector.asks=[validation_prompts,training]", "selector.draws=3",
        "trainer.sampling.temperature=0.9",
    )
    assert not (result.folder / "rollouts").exists()
    assert "offline_rollout" not in result.cost.amounts
    assert not records(result.folder, "rollouts")
    assert first.rollouts == first.validation == first.training == {}
    assert {name: len(used) for name, used in first.validation_prompts.items()} == {"A": 5, "B": 5}
    # 3 prompts of the pool and of two validation sets, 4 trajectories each, in two phases.
    assert result.cost.amounts["selection"]["graded"] == 2 * (3 + 2 * 3) * 4
    stored = [
        group for path in result.folder.glob("phases/*/rollouts/**/*.parquet")
        for group in read_shard(path)
    ]
    assert len(stored) == 2 * (3 + 2 * 3)
    assert result.cost.amounts["selection"]["generated_tokens"] == sum(
        len(t.token_ids) for g in stored for t in g.trajectories
    )
    # Training's own groups, with the log-probabilities of when they were drawn.
    steps = [read_shard(path) for path in sorted(result.folder.glob("phases/*/training/*"))]
    assert [len(groups) for groups in steps] == [4, 4]
    assert {i: g.trajectories[0].log_probs.tobytes() for i, g in second.training.items()} == {
        g.prompt_id: g.trajectories[0].log_probs.tobytes() for g in steps[0]
    }
    assert {g.temperature for g in second.training.values()} == {0.9}
    assert second.previous() is not None
    assert first.previous() is None
    moments = second.second_moment()
    assert moments is not None
    assert list(moments) == [name for name, _ in second.policy.trainable()]


def test_alpha_that_selects_nothing_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"selector\.alpha=0\.01: selects none of 60 prompts"):
        go(tmp_path, cache, "selector=random", "selector.alpha=0.01")


def test_what_does_not_fit_together_is_said_before_any_work(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "selector").mkdir()
    (tmp_path / "selector" / "watcher.yaml").write_text(
        f"# Watches.\n_target_: {__name__}.Watcher\nalpha: 0.001\n"
    )
    rows = "".join(json.dumps({"question": f"@{n}5=", "answer": "1"}) + "\n" for n in range(10))
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text(rows.replace("@", "%" if name == "test" else "@"))
    config = compose(
        ["debug=tiny", "selector=watcher", f"runs={tmp_path / 'runs'}", f"cache={cache}",
         "benchmark=local", f"benchmark.train_file={tmp_path}/train.jsonl",
         f"benchmark.test_file={tmp_path}/test.jsonl", "benchmark.validation_share=0.1",
         "~benchmark.pool_size", "~benchmark.validation_size", "~benchmark.test_size",
         "verifier=numeric", "evaluation.sets=[locl]"],
        config_dir=tmp_path,
    )
    with pytest.raises(ConfigError) as caught:
        run_experiment(config)
    text = str(caught.value)
    assert "2 mistakes" in text
    assert "selector.alpha=0.001: selects none of 10 prompts" in text
    assert 'no test set \'locl\' (did you mean "local"?)' in text
    assert not list((tmp_path / "runs").rglob("evaluations"))


def test_the_kl_reference_is_the_starting_policy(tmp_path: Path, cache: Path) -> None:
    result = go(tmp_path, cache, "selector=full", "trainer.beta=0.1", "trainer.learning_rate=5e-3",
                "trainer.zero_variance=keep")
    kl = [r["metrics"]["kl"] for r in records(result.folder, "train")]
    assert kl[0] == 0.0  # the same bits, not merely near
    assert kl[-1] > 0


def test_the_run_folder_says_what_it_is(tmp_path: Path, cache: Path) -> None:
    result = go(tmp_path, cache, "selector=random", "steps_per_phase=1",
                choices={"benchmark": "arithmetic", "model": "tiny", "selector": "random"})
    assert result.folder.name.startswith("arithmetic-tiny-random-seed0-")
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["config"]["selector"]["alpha"] == 0.1
    assert manifest["choices"]["selector"] == "random"
    assert manifest["data"]["train"]["prompts"] == 60
    assert set(manifest["environment"]["packages"]) >= {"torch", "transformers", "hydra-core"}
    assert not list(result.folder.rglob("*.part"))
    assert RunResult.read(result.folder) == result
