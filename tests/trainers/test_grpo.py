"""The trainer over steps, phases and resumes."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import FakeRollouts, Run, prompts, tiny_policy

from cropi.contracts import Sampling, StepResult
from cropi.policies.policy import Policy
from cropi.runtime.errors import CropiError
from cropi.trainers.grpo import GRPO
from cropi.types import Prompt


def trainer(**options: Any) -> GRPO:
    defaults: dict[str, Any] = {
        "prompts_per_step": 4, "samples_per_prompt": 4, "learning_rate": 0.01,
        "sampling": Sampling(max_new_tokens=6),
    }
    return GRPO(**(defaults | options))


def weights(policy: Policy) -> dict[str, bytes]:
    return {n: t.view(torch.uint8).numpy().tobytes() for n, t in policy.state().items()}


# What a resume must restore: schedule, several updates, KL, a second phase, dynamic sampling.
RESUMES: list[dict[str, Any]] = [
    {},
    {"schedule": "cosine", "warmup_steps": 2, "epochs": 2, "mini_batches": 2, "beta": 0.1},
    {"order": "as_selected", "dynamic_sampling_rounds": 2, "loss": "dapo"},
    {
        "ratio": "sequence", "epochs": 2, "sampler_correction": "token_truncate",
        "overlong_buffer": 2,
    },
]


@pytest.mark.parametrize("options", RESUMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_run_is_the_same_run(
    options: dict[str, Any], dtype: torch.dtype, tmp_path: Path
) -> None:
    # Pitfalls 25, 26 and 34: four steps at once, and two, a new process, two more; seed 0.
    whole, policy = Run(), tiny_policy(dtype)
    trainer(**options).train(policy, whole.selection(), whole.context(0, 4))

    first, half = trainer(**options), tiny_policy(dtype)
    parts = Run()
    first.train(half, parts.selection(), parts.context(0, 2))
    first.save(tmp_path, half)
    half.save_weights(tmp_path)

    second, restored = trainer(**options), tiny_policy(dtype, seed=5)
    restored.load_weights(tmp_path)
    second.load(tmp_path, restored)
    second.train(restored, parts.selection(), parts.context(2, 4))

    assert weights(restored) == weights(policy)
    assert weights(policy) != weights(tiny_policy(dtype))
    assert parts.metrics() == whole.metrics()
    assert parts.rollouts.calls == whole.rollouts.calls


def test_the_second_moment_is_there_after_a_step_and_after_a_resume(tmp_path: Path) -> None:
    policy, run, one = tiny_policy(), Run(), trainer(adam_beta2=0.9)
    assert one.second_moment(policy) is None
    one.train(policy, run.selection(), run.context(0, 2))
    one.save(tmp_path, policy)
    two = trainer(adam_beta2=0.9)
    two.load(tmp_path, policy)
    raw = load_file(tmp_path / "trainer.safetensors")
    for moments in (one.second_moment(policy), two.second_moment(policy)):
        assert moments is not None
        assert list(moments) == [name for name, _ in policy.trainable()]
        for name, moment in moments.items():
            torch.testing.assert_close(moment, raw[f"exp_avg_sq/{name}"] / (1 - 0.9**2))
        assert any(moment.max() > 0 for moment in moments.values())


def test_a_checkpoint_written_from_after_step_can_be_resumed(tmp_path: Path) -> None:
    whole, policy = Run(), tiny_policy()
    trainer().train(policy, whole.selection(), whole.context(0, 3))

    killed, half, run = trainer(), tiny_policy(), Run()

    class Killed(Exception):
        pass

    def save_and_die(result: StepResult) -> None:
        if result.step == 2:
            killed.save(tmp_path, half)
            half.save_weights(tmp_path)
            raise Killed

    with pytest.raises(Killed):
        killed.train(half, run.selection(), run.context(0, 3, after_step=save_and_die))
    resumed, restored = trainer(), tiny_policy()
    restored.load_weights(tmp_path)
    resumed.load(tmp_path, restored)
    resumed.train(restored, run.selection(), run.context(2, 3))
    assert weights(restored) == weights(policy)


def test_the_optimizer_goes_on_over_phases() -> None:
    one, two, fresh = trainer(), trainer(), trainer()
    run = Run()
    policies = [tiny_policy() for _ in range(3)]
    one.train(policies[0], run.selection(), run.context(0, 1))
    two.train(policies[1], run.selection(), run.context(0, 1))
    one.train(policies[0], run.selection(), run.context(1, 2, phase=1))
    # The same second phase, but with the moments of the first thrown away.
    fresh._progress = two._progress
    fresh.train(policies[1], run.selection(), run.context(1, 2, phase=1))
    assert weights(policies[0]) != weights(policies[1])


def test_the_order_is_that_of_the_named_stream() -> None:
    # Pitfalls 29 and 30: 6 prompts, batches of 4: epochs differ and batches cross their ends.
    run = Run(total_steps=6)
    trainer().train(tiny_policy(), run.selection(), run.context(0, 6))
    seen = [i for ids, _ in run.rollouts.calls for i in ids]
    epochs = [seen[i : i + 6] for i in range(0, 24, 6)]
    assert all(sorted(epoch) == sorted(run.prompts) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert [r.metrics["epoch"] for r in run.results] == pytest.approx(
        [4 * k / 6 for k in range(1, 7)]
    )
    assert [stream for _, stream in run.rollouts.calls] == [("training", s) for s in range(1, 7)]

    chosen = Run()
    trainer(order="as_selected").train(tiny_policy(), chosen.selection(), chosen.context(0, 3))
    assert [i for ids, _ in chosen.rollouts.calls for i in ids] == [*chosen.prompts] * 2


def test_a_phase_starts_at_the_beginning_of_its_selection() -> None:
    run, one = Run(), trainer(order="as_selected")
    policy, ids = tiny_policy(), tuple(run.prompts)
    one.train(policy, run.selection(), run.context(0, 1))
    one.train(policy, run.selection(), run.context(1, 2))  # the same phase goes on
    one.train(policy, run.selection(), run.context(2, 3, phase=1))
    twice = ids * 2
    assert [called for called, _ in run.rollouts.calls] == [twice[0:4], twice[4:8], twice[0:4]]


def test_seeds_and_phases_have_their_own_order() -> None:
    def order(seed: int, phase: int) -> tuple[tuple[str, ...], ...]:
        run = Run()
        trainer().train(tiny_policy(), run.selection(), run.context(0, 2, seed=seed, phase=phase))
        return tuple(ids for ids, _ in run.rollouts.calls)

    assert order(0, 0) == order(0, 0)
    assert len({order(0, 0), order(1, 0), order(0, 1)}) == 3


def test_a_selection_smaller_than_the_batch_gives_a_prompt_several_groups() -> None:
    run = Run(prompts(2))
    trainer(prompts_per_step=5).train(tiny_policy(), run.selection(), run.context(0, 1))
    (result,) = run.results
    assert len(result.groups) == 5
    assert result.metrics["frac_reward_zero_std"] <= 1.0


def test_what_a_step_reports() -> None:
    run = Run()
    trainer(beta=0.1).train(tiny_policy(), run.selection(), run.context(0, 2))
    result, later = run.results
    metrics = result.metrics
    rewards = [t.reward for g in result.groups for t in g.trajectories]
    lengths = [len(t.token_ids) for g in result.groups for t in g.trajectories]
    mean = sum(rewards) / 16
    assert metrics["reward"] == pytest.approx(mean)
    assert metrics["reward_std"] == pytest.approx((16 / 15 * mean * (1 - mean)) ** 0.5)
    assert metrics["completions/mean_length"] == sum(lengths) / 16
    assert metrics["completions/max_terminated_length"] == max(lengths)
    assert metrics["completions/clipped_ratio"] == 0.0
    assert metrics["num_tokens"] == sum(lengths) + 16 * 4  # prompts like "3+3="
    drawn = sum(len(t.token_ids) for g in later.groups for t in g.trajectories) + 16 * 4
    assert later.metrics["num_tokens"] == metrics["num_tokens"] + drawn
    assert metrics["learning_rate"] == 0.01
    assert metrics["kl"] == 0.0
    assert metrics["entropy"] > 0
    assert metrics["grad_norm"] > 0
    assert metrics["clip_ratio/region_mean"] == 0.0
    assert metrics["skipped_update"] == 0.0
    assert metrics["step_time"] >= metrics["time/update"]
    json.dumps(dict(metrics), allow_nan=False)
    spent = result.cost.amounts["training"]
    assert spent["generated_tokens"] == sum(lengths)
    assert spent["forward_tokens"] == 2 * spent["backward_tokens"]  # the reference's, and its own
    assert spent["seconds"] == pytest.approx(metrics["step_time"])


def test_the_reference_is_for_a_penalty_only() -> None:
    for beta, references in ((0.0, 0), (0.1, 2)):
        run = Run()
        trainer(beta=beta).train(tiny_policy(), run.selection(), run.context(0, 2))
        assert run.references == references


def test_the_policy_learns() -> None:
    # Digits below 5 are right; the fake samples do not follow the policy, so read its opinion.
    policy, run = tiny_policy(), Run(total_steps=15)
    trainer().train(policy, run.selection(), run.context(0, 15))
    prompt = torch.tensor([policy.encode(next(iter(run.prompts.values())))])
    before, after = (p.model(prompt).logits[0, -1].softmax(0) for p in (tiny_policy(), policy))
    assert after[:5].sum() > before[:5].sum() + 0.1
    assert after[5:10].sum() < before[5:10].sum()


def test_nothing_to_learn_skips_the_update(caplog: pytest.LogCaptureFixture) -> None:
    run, policy = Run(rollouts=FakeRollouts(easy=0)), tiny_policy()
    with caplog.at_level(logging.WARNING):
        trainer().train(policy, run.selection(), run.context(0, 2))
    assert weights(policy) == weights(tiny_policy())
    assert [r.metrics["skipped_update"] for r in run.results] == [1.0, 1.0]
    assert [r.metrics["frac_reward_zero_std"] for r in run.results] == [1.0, 1.0]
    assert [r.cost.amounts["training"].get("backward_tokens", 0) for r in run.results] == [0, 0]
    assert "nothing to learn" in caplog.text


def test_a_skipped_update_leaves_no_trace_in_adam() -> None:
    class Sometimes(FakeRollouts):
        def __call__(self, policy: Policy, prompts: list[Prompt], **named: Any) -> Any:
            self.easy = 0 if named["stream"][1] == 2 else 5
            return super().__call__(policy, prompts, **named)

    for keep in ("skip", "keep"):
        run, policy = Run(rollouts=Sometimes()), tiny_policy()
        after: list[dict[str, bytes]] = []
        trainer(zero_variance=keep).train(
            policy,
            run.selection(),
            run.context(0, 3, after_step=lambda _, p=policy, a=after: a.append(weights(p))),
        )
        assert after[1] == after[0]
        assert after[2] != after[1]


def test_dynamic_sampling_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    # Pitfall 14: no group ever has signal; 1 + 2 rounds, no update, no hang, and it says why.
    run, policy = Run(rollouts=FakeRollouts(easy=0)), tiny_policy()
    with caplog.at_level(logging.WARNING):
        trainer(dynamic_sampling_rounds=2).train(policy, run.selection(), run.context(0, 1))
    assert (
        "step 1: 0 of 4 groups to learn from, after 2 further rounds; of 12 drawn: 12 all wrong"
    ) in caplog.text
    assert [stream for _, stream in run.rollouts.calls] == [
        ("training", 1), ("training", 1, 1), ("training", 1, 2)
    ]
    (result,) = run.results
    assert result.metrics["skipped_update"] == 1.0
    assert (result.metrics["groups/seen"], result.metrics["groups/used"]) == (12.0, 0.0)
    assert len(result.groups) == 12
    assert weights(policy) == weights(tiny_policy())


def test_the_overlong_penalty_is_learned_from_but_not_reported_as_reward() -> None:
    # Answers that are all right differ by their length alone: 1 to 3 digits and the end.
    def trained(**options: Any) -> tuple[StepResult, Policy]:
        run, policy = Run(rollouts=FakeRollouts(easy=10)), tiny_policy()
        one = trainer(**options, sampling=Sampling(max_new_tokens=4))
        one.train(policy, run.selection(), run.context(0, 1))
        return run.results[0], policy

    plain, untouched = trained()
    assert plain.metrics["skipped_update"] == 1.0
    assert "overlong_penalty" not in plain.metrics
    shaped, moved = trained(overlong_buffer=2, overlong_penalty=0.5)
    assert shaped.metrics["skipped_update"] == 0.0
    assert shaped.metrics["reward"] == 1.0
    lengths = [len(t.token_ids) for g in shaped.groups for t in g.trajectories]
    expected = sum({2: 0.0, 3: -0.25, 4: -0.5}[length] for length in lengths) / len(lengths)
    assert shaped.metrics["overlong_penalty"] == pytest.approx(expected)
    assert weights(moved) != weights(untouched)


def test_dynamic_sampling_replaces_only_what_is_missing() -> None:
    run = Run(rollouts=FakeRollouts(easy=1), total_steps=3)
    trainer(dynamic_sampling_rounds=20).train(tiny_policy(), run.selection(), run.context(0, 3))
    for step, result in enumerate(run.results, start=1):
        asked = [len(ids) for ids, stream in run.rollouts.calls if stream[1] == step]
        useful = [g.is_informative for g in result.groups]
        for place, count in enumerate(asked):
            assert count == 4 - sum(useful[: sum(asked[:place])])
        assert sum(useful) == 4
    assert all(r.metrics["groups/used"] == 4.0 for r in run.results)
    # The order goes on where the extra rounds left it.
    seen = [i for ids, _ in run.rollouts.calls for i in ids]
    assert sorted(seen[:6]) == sorted(run.prompts)
    assert len(seen) > 12


def test_steps_with_every_completion_truncated_end_the_run(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    # Pitfall 22; the count survives a resume.
    def cut() -> Run:
        return Run(rollouts=FakeRollouts(truncated=True), total_steps=9)

    run, policy = cut(), tiny_policy()
    one = trainer(stop_after_all_truncated=3)
    with caplog.at_level(logging.WARNING):
        one.train(policy, run.selection(), run.context(0, 2))
    assert "truncated at 6 tokens" in caplog.text
    assert [r.metrics["completions/clipped_ratio"] for r in run.results] == [1.0, 1.0]
    assert [r.metrics["all_truncated_steps"] for r in run.results] == [1.0, 2.0]
    one.save(tmp_path, policy)
    two = trainer(stop_after_all_truncated=3)
    two.load(tmp_path, policy)
    with pytest.raises(CropiError, match=r"trainer\.sampling\.max_new_tokens"):
        two.train(policy, run.selection(), run.context(2, 9))
    assert len(run.results) == 3  # the last step was reported before the stop

    endless = cut()
    trainer(stop_after_all_truncated=None).train(
        tiny_policy(), endless.selection(), endless.context(0, 9)
    )
    assert len(endless.results) == 9


def test_one_finished_completion_resets_the_count() -> None:
    class Alternating(FakeRollouts):
        def __call__(self, policy: Policy, prompts: list[Prompt], **named: Any) -> Any:
            self.truncated = named["stream"][1] % 2 == 1
            return super().__call__(policy, prompts, **named)

    run = Run(rollouts=Alternating(), total_steps=6)
    trainer(stop_after_all_truncated=2).train(tiny_policy(), run.selection(), run.context(0, 6))
    assert [r.metrics["all_truncated_steps"] for r in run.results] == [1, 0, 1, 0, 1, 0]


def test_a_trainer_of_another_moment_is_refused() -> None:
    run = Run()
    with pytest.raises(CropiError, match="0 steps, but the run stands at step 2"):
        trainer().train(tiny_policy(), run.selection(), run.context(2, 4))


def test_state_of_another_model_is_refused(tmp_path: Path) -> None:
    # Pitfall 36: the shape is checked, not the place in a list.
    run, policy = Run(), tiny_policy()
    one = trainer()
    one.train(policy, run.selection(), run.context(0, 1))
    one.save(tmp_path, policy)
    saved = json.loads((tmp_path / "trainer.json").read_text())
    saved["parameters"]["model.norm.weight"] = [17]
    (tmp_path / "trainer.json").write_text(json.dumps(saved))
    with pytest.raises(CropiError, match=r"model\.norm\.weight has shape \[17\] there"):
        trainer().load(tmp_path, policy)


@pytest.mark.parametrize("name", ["trainer.json", "trainer.safetensors"])
def test_damaged_state_is_refused(name: str, tmp_path: Path) -> None:
    run, policy = Run(), tiny_policy()
    one = trainer()
    one.train(policy, run.selection(), run.context(0, 1))
    one.save(tmp_path, policy)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CropiError, match="cannot be read"):
        trainer().load(tmp_path, policy)


def test_a_trainer_that_did_nothing_can_be_saved(tmp_path: Path) -> None:
    policy, run = tiny_policy(), Run()
    trainer().save(tmp_path, policy)
    restored = trainer()
    restored.load(tmp_path, policy)
    restored.train(policy, run.selection(), run.context(0, 1))
    assert len(run.results) == 1
