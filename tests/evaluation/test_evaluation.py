from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cropi.contracts import Sampling
from cropi.contracts import TestSet as Reported  # pytest would collect a name in Test…
from cropi.evaluation.estimates import paired_difference
from cropi.evaluation.evaluation import Evaluation, load_result
from cropi.evaluation.outcomes import read_outcomes
from cropi.runtime.errors import ConfigError
from cropi.runtime.parts import build, options_of
from cropi.runtime.seeds import stream
from cropi.types import Group, Prompt, Trajectory, Verdict

CONF = Path(__file__).resolve().parents[2] / "conf"
STRINGS = [f"what is {i} + {i}?" for i in range(6)]
TESTS = {
    "near": Reported(tuple(Prompt.create(q, ["1"], source="t") for q in STRINGS), targeted=True),
    "far/1": Reported((Prompt.create("3 * 3?", ["9"], source="t"),), targeted=False),
}


class Draws:
    """Rollouts that are right with the policy's probability, by the stream's own numbers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str | int, ...]] = []

    def __call__(
        self, policy: Any, prompts: Sequence[Prompt], *, samples: int, sampling: Sampling,
        stream: tuple[str | int, ...],
    ) -> list[Group]:
        self.calls.append(stream)
        return [self._group(policy, prompt, samples, stream) for prompt in prompts]

    def _group(self, skill: float, prompt: Prompt, k: int, name: tuple[str | int, ...]) -> Group:
        right = stream(0, *name, prompt.id).random(k) < skill
        return Group(prompt.id, np.zeros(3, np.int32), tuple(
            Trajectory(
                np.zeros(2, np.int32), np.zeros(2, np.float32), "stop", "text",
                Verdict(float(r), "ok", "test", "1"),
            )
            for r in right
        ))


def evaluate(folder: Path, *, skill: Any = 0.5, step: int = 0, **options: Any) -> Any:
    draws = Draws()
    return Evaluation(**options).evaluate(skill, TESTS, draws, step, folder, seed=0), draws


def test_metrics_files_and_cost(tmp_path: Path) -> None:
    result, draws = evaluate(tmp_path)
    near = read_outcomes(tmp_path / "near.parquet")
    far = read_outcomes(tmp_path / "far%2F1.parquet")
    assert near.correctness.shape == (6, 4)
    assert result.metrics["eval/near/avg@4"] == pytest.approx(near.correctness.mean())
    assert result.metrics["eval/targeted"] == pytest.approx(near.correctness.mean())
    assert result.metrics["eval/untargeted"] == pytest.approx(far.correctness.mean())
    # plain mean over sets, not over items
    assert result.metrics["eval/all"] == pytest.approx(
        (near.correctness.mean() + far.correctness.mean()) / 2
    )
    solved = (near.correctness.max(axis=1) == 1).mean()
    assert result.metrics["eval/near/pass@4"] == pytest.approx(solved)
    assert result.metrics["eval/near/verdict/ok"] == 1.0
    assert result.metrics["eval/far/1/verdict/timeout"] == 0.0
    assert draws.calls == [("evaluation", "near"), ("evaluation", "far/1")]
    assert result.cost.amounts["evaluation"]["generated_tokens"] == 7 * 4 * 2
    assert result.cost.amounts["evaluation"]["graded"] == 28
    assert result.cost.amounts["evaluation"]["seconds"] > 0


def test_every_step_uses_the_same_draws_so_equal_policies_are_equal(tmp_path: Path) -> None:
    first, _ = evaluate(tmp_path / "0", step=0)
    later, _ = evaluate(tmp_path / "40", step=40)
    assert first.metrics == later.metrics
    evaluate(tmp_path / "80", step=80, skill=0.9)
    before, after = (
        read_outcomes(tmp_path / step / "near.parquet").item_scores() for step in ("0", "80")
    )
    assert paired_difference(after, before).mean > 0


def test_a_finished_evaluation_is_read_back(tmp_path: Path) -> None:
    assert load_result(tmp_path) is None
    result, _ = evaluate(tmp_path, step=20)
    assert load_result(tmp_path) == result


def test_an_interrupted_evaluation_is_not_finished(tmp_path: Path) -> None:
    class Killed(Draws):
        def __call__(self, *args: Any, stream: tuple[str | int, ...], **kwargs: Any) -> Any:
            if stream[1] == "far/1":
                raise KeyboardInterrupt
            return super().__call__(*args, stream=stream, **kwargs)

    with pytest.raises(KeyboardInterrupt):
        Evaluation().evaluate(0.5, TESTS, Killed(), 0, tmp_path, seed=0)  # type: ignore[arg-type]
    assert (tmp_path / "near.parquet").is_file()
    assert load_result(tmp_path) is None


def test_limit_takes_the_same_prompts_whatever_their_order(tmp_path: Path) -> None:
    shuffled = {"near": Reported(TESTS["near"].prompts[::-1], targeted=True)}
    three = Evaluation(limit=3)
    assert three.chosen(TESTS)["near"] == three.chosen(shuffled)["near"]
    assert len(three.chosen(TESTS)["near"]) == 3
    assert [p.id for p in three.chosen(TESTS)["near"]] == sorted(
        p.id for p in TESTS["near"].prompts
    )[:3]


def test_only_the_named_sets_are_evaluated(tmp_path: Path) -> None:
    result, draws = evaluate(tmp_path, sets=["far/1"])
    assert draws.calls == [("evaluation", "far/1")]
    assert "eval/targeted" not in result.metrics
    assert result.metrics["eval/all"] == result.metrics["eval/untargeted"]


def test_an_unknown_set_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no test set 'nera' \(did you mean \"near\"\?\)"):
        Evaluation(sets=["nera"]).chosen(TESTS)


def test_an_average_over_a_set_without_a_value_is_absent(tmp_path: Path) -> None:
    class BadGold(Draws):
        def _group(self, skill: float, prompt: Prompt, k: int, name: Any) -> Group:
            return Group(prompt.id, np.zeros(3, np.int32), tuple(
                Trajectory(np.zeros(2, np.int32), np.zeros(2, np.float32), "stop", "",
                           Verdict(None if name[1] == "far/1" else 1.0, "ok", "test"))
                for _ in range(k)
            ))

    found = Evaluation().evaluate(0.5, TESTS, BadGold(), 0, tmp_path, seed=0).metrics  # type: ignore[arg-type]
    assert found["eval/targeted"] == 1.0
    assert "eval/untargeted" not in found
    assert "eval/all" not in found
    assert found["eval/far/1/unscorable"] == 4.0


def test_when_an_evaluation_is_due() -> None:
    plan = Evaluation(every=10)
    due = [step for step in range(26) if plan.is_due(step, phase_ends=step == 25)]
    assert due == [0, 10, 20, 25]


def build_with(**options: Any) -> Evaluation:
    node = {"_target_": "cropi.evaluation.evaluation.Evaluation", **options}
    return build(node, Evaluation, "evaluation")


def test_options_that_do_not_fit_together_are_refused() -> None:
    greedy = {"_target_": "cropi.contracts.Sampling", "temperature": 0.0}
    with pytest.raises(ConfigError, match="same completion 4 times"):
        build_with(sampling=greedy)
    assert build_with(sampling=greedy, samples=1).samples == 1
    with pytest.raises(ConfigError, match="pass@8 needs at least as many samples"):
        build_with(pass_at=[1, 8])


@pytest.mark.parametrize("option", ["sampled", "greedy", "paper"])
def test_each_option_builds_and_lists_exactly_the_class_options(option: str) -> None:
    raw = yaml.safe_load((CONF / "evaluation" / f"{option}.yaml").read_text())
    assert set(raw) - {"_target_"} == set(options_of(Evaluation))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=[f"+evaluation={option}", "+benchmark.max_new_tokens=64"])
    node = OmegaConf.to_container(config, resolve=True)["evaluation"]  # type: ignore[index, call-overload]
    evaluation = build(node, Evaluation, "evaluation")
    assert evaluation.sampling.max_new_tokens == 64
    assert evaluation.sampling.temperature == (1.0 if option == "sampled" else 0.0)
