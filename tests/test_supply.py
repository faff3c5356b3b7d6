"""What a selector is given: each requirement by itself, the newest groups, nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cropi.contracts import LoadReport, Prompts, Requirement, Sampling
from cropi.journal import Journal
from cropi.progress import Display
from cropi.runtime.errors import DataError
from cropi.selectors.files import write_selection
from cropi.settings import Offline
from cropi.supply import Supply
from cropi.types import Cost, Group, Prompt, Scores, Selection, Trajectory, Verdict

POOL = tuple(Prompt.create(f"q{i}", ["1"], source="t") for i in range(5))
SETS = {
    name: tuple(Prompt.create(f"{name}{i}", ["1"], source="t") for i in range(4)) for name in "AB"
}


def lowest(name: str) -> list[str]:
    return sorted(prompt.id for prompt in SETS[name])[:3]


def group(prompt_id: str, *texts: str) -> Group:
    """Two tokens a trajectory; the text says where it comes from."""
    return Group(prompt_id, np.array([1], np.int32), tuple(
        Trajectory(
            np.array([2, 3], np.int32), np.array([-1.0, -2.0], np.float32), "stop", text,
            Verdict(1.0, "ok", "hand"),
        )
        for text in texts
    ))


@dataclass
class Draws:
    """Stands in for generator and verifier."""

    calls: list[tuple[str, tuple[Any, ...], list[str]]] = field(default_factory=list)
    stop_after: int = 99

    def __call__(
        self, policy: Any, prompts: Sequence[Prompt], *, samples: int, sampling: Sampling,
        stream: tuple[Any, ...],
    ) -> list[Group]:
        if len(self.calls) == self.stop_after:
            raise KeyboardInterrupt
        self.calls.append((policy.name, stream, [prompt.id for prompt in prompts]))
        text = f"{policy.name} {stream}"
        return [group(prompt.id, *[text] * samples) for prompt in prompts]


@dataclass
class Named:
    """A policy that is only its name."""

    name: str
    model: Any = None

    def fingerprint(self) -> str:
        return f"of {self.name}"

    def save_weights(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "policy.safetensors").write_text(self.name)


def supply(
    folder: Path, needs: set[Requirement], draws: Draws | None = None, *, policy: str = "β",
    step: int = 0, **settings: Any,
) -> Supply:  # fmt: skip
    """The supply of a process that starts (again) on a run."""
    journal = Journal(folder, [])
    journal.progress.step = step
    offline = Offline(
        samples=2, validation_samples=3, validation_prompts=3, shard_prompts=2, sampling=Sampling()
    )
    options = {"seed": 0, "steps_per_phase": 2, "workers": 1, "keep_gradients": False,
               "cache": folder, "runs": folder}
    made: Any = SimpleNamespace(
        selector=SimpleNamespace(needs=lambda: frozenset(needs)),
        trainer=SimpleNamespace(second_moment=lambda policy: {"w": policy.name}),
        model="the model",
    )
    return Supply(
        settings=SimpleNamespace(**{**options, **settings}, offline=offline),  # type: ignore[arg-type]
        parts=made,
        prompts=Prompts(POOL, SETS, {}, LoadReport({}, {})),
        policy=Named(policy),  # type: ignore[arg-type]
        starting=lambda: Named("β"),  # type: ignore[arg-type,return-value]
        draw=draws or Draws(),
        journal=journal,
        display=Display("plain"),
        identity={"policy": "of β"},
    )


def choose(folder: Path, phase: int, prompts: Sequence[Prompt], value: float = 0.0) -> None:
    """A committed selection."""
    ids = tuple(prompt.id for prompt in prompts)
    n = len(ids)
    write_selection(
        Journal(folder, []).phase_folder(phase), Selection(ids, (1.0,) * n, ("",) * n, n),
        Scores(ids, np.full(n, value), np.ones(n, dtype=bool)), {p.id: p for p in POOL},
    )  # fmt: skip


def texts(groups: dict[str, Group] | Any) -> list[str]:
    return [groups[prompt.id].trajectories[0].text for prompt in POOL if prompt.id in groups]


@pytest.mark.parametrize(("needs", "drawn"), [
    (set(), set()),
    ({"validation_prompts"}, set()),
    ({"training"}, set()),
    ({"rollouts"}, {"train"}),
    ({"validation"}, {"validation/A", "validation/B"}),
    ({"rollouts", "validation"}, {"train", "validation/A", "validation/B"}),
])  # fmt: skip
def test_each_requirement_is_met_by_itself(
    tmp_path: Path, needs: set[Requirement], drawn: set[str]
) -> None:
    run = supply(tmp_path, needs)
    context = run.context(0)
    stores = (tmp_path / "rollouts").rglob("index.json")
    assert {s.parent.relative_to(tmp_path / "rollouts").as_posix() for s in stores} == drawn
    assert list(context.rollouts) == ([p.id for p in POOL] if "rollouts" in needs else [])
    assert {n: [g.prompt_id for g in groups] for n, groups in context.validation.items()} == (
        {n: lowest(n) for n in "AB"} if "validation" in needs else {}
    )
    assert {n: [p.id for p in used] for n, used in context.validation_prompts.items()} == (
        {n: lowest(n) for n in "AB"} if "validation_prompts" in needs else {}
    )
    assert context.training == {}
    # What is drawn is charged once, and a second start only reads.
    trajectories = (5 * 2 if "train" in drawn else 0) + (6 * 3 if "validation/A" in drawn else 0)
    spent = run.journal.cost.amounts.get("offline_rollout", {})
    assert spent.get("graded", 0) == trajectories
    assert spent.get("generated_tokens", 0) == 2 * trajectories
    again = supply(tmp_path, needs, Draws(stop_after=0))
    assert list(again.context(0).rollouts) == list(context.rollouts)
    assert again.journal.cost.amounts == run.journal.cost.amounts


def test_the_newest_stored_group_wins_until_it_is_replaced(tmp_path: Path) -> None:
    needs: set[Requirement] = {"rollouts", "validation", "validation_prompts"}
    supply(tmp_path, needs).context(0)
    for phase, places in ((0, (0, 1)), (1, (3, 1, 2))):
        run = supply(tmp_path, needs, policy=f"π{phase}", step=2 * phase)
        drawn = run.context(phase).fresh("train", [POOL[i] for i in places])  # type: ignore[misc]
        assert list(drawn) == [POOL[i].id for i in places]
        assert set(texts(drawn)) == {f"π{phase} ('fresh', {phase})"}
        used = run.context(phase).validation_prompts["B"][phase:][:1]
        run.context(phase).fresh("validation/B", used)  # type: ignore[misc]
    stored, zero, one = "β ('offline',)", "π0 ('fresh', 0)", "π1 ('fresh', 1)"
    seen = [supply(tmp_path, needs, Draws(stop_after=0), step=1).context(p) for p in range(3)]
    assert texts(seen[0].rollouts) == [stored] * 5
    assert texts(seen[1].rollouts) == [zero, zero, stored, stored, stored]
    assert texts(seen[2].rollouts) == [zero, one, one, one, stored]
    assert list(seen[2].rollouts) == [prompt.id for prompt in POOL]
    newest = [g.trajectories[0].text for g in seen[2].validation["B"]]
    assert newest == [zero, one, stored]
    assert {len(g.trajectories) for g in seen[2].validation["B"]} == {3}
    assert [g.trajectories[0].text for g in seen[2].validation["A"]] == [stored] * 3


def test_fresh_groups_go_on_after_a_kill_and_are_charged_once(tmp_path: Path) -> None:
    draws = Draws(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        supply(tmp_path, set(), draws, policy="π", step=2).context(1).fresh("train", POOL)  # type: ignore[misc]
    folder = tmp_path / "phases" / "001" / "rollouts" / "train"
    killed = supply(tmp_path, set(), policy="π", step=2)
    before = killed.store(
        folder.parents[1], "train", POOL, policy="of π", phase=1
    ).cost.amounts["selection"]  # fmt: skip
    assert before["graded"] == 2 * 2 * 2

    rest = Draws()
    run = supply(tmp_path, set(), rest, policy="π", step=2)
    fresh = run.context(1).fresh
    assert fresh is not None
    groups = fresh("train", POOL)
    assert rest.calls == [("π", ("fresh", 1), [POOL[4].id])]
    assert list(groups) == [prompt.id for prompt in POOL]
    # Every token of both starts, but only the seconds of the first: the second is still timed.
    expected = {"generated_tokens": 20, "graded": 10, "seconds": before["seconds"]}
    assert run.journal.cost.amounts == {"selection": expected}
    assert texts(fresh("train", POOL)) == texts(groups)
    assert run.journal.cost.amounts == {"selection": expected}
    assert len(rest.calls) == 1


def test_fresh_groups_of_another_policy_or_other_prompts_are_not_taken(tmp_path: Path) -> None:
    fresh = supply(tmp_path, set(), policy="π", step=2).context(1).fresh
    assert fresh is not None
    assert fresh("train", []) == {}
    fresh("train", POOL[:3])
    with pytest.raises(DataError, match=r"something else \(prompts was"):
        fresh("train", POOL[:2])
    other = supply(tmp_path, set(), policy="another", step=2).context(1).fresh
    with pytest.raises(DataError, match="policy was 'of π', is 'of another'"):
        other("train", POOL[:3])  # type: ignore[misc]


def test_offline_metrics_need_the_pool(tmp_path: Path) -> None:
    supply(tmp_path, {"validation"}).context(0)
    assert "pass_rate" not in (tmp_path / "metrics.jsonl").read_text()
    supply(tmp_path / "other", {"rollouts"}).context(0)
    assert '"rollouts/pass_rate"' in (tmp_path / "other" / "metrics.jsonl").read_text()


def trained(folder: Path, needs: set[Requirement]) -> Supply:
    """Two phases of two steps: prompts 0 1, 1 | 2 1, 1 2 with a prompt twice in the last step."""
    run = supply(folder, needs, step=4)
    choose(folder, 0, POOL[:2])
    choose(folder, 1, POOL[1:3])
    for step, places in ((1, (0, 1)), (2, (1,)), (3, (2, 1)), (4, (1, 1))):
        run.remember(step, [
            group(POOL[place].id, f"step {step} place {i}") for i, place in enumerate(places)
        ])
    return run


def test_training_groups_are_the_last_of_each_prompt(tmp_path: Path) -> None:
    run = trained(tmp_path, {"training"})
    # What a killed run left of later steps is not seen.
    run.remember(5, [group(POOL[0].id, "never committed")])
    found = supply(tmp_path, {"training"}, step=4).context(2).training
    assert texts(found) == ["step 1 place 0", "step 4 place 1", "step 3 place 0"]
    assert found[POOL[1].id].trajectories[0].log_probs.tolist() == [-1.0, -2.0]
    assert texts(run.context(1).training) == ["step 1 place 0", "step 2 place 0"]
    # Done again, a step is written over.
    run.remember(4, [group(POOL[2].id, "again")])
    assert texts(run.context(2).training)[2] == "again"


def test_training_groups_are_read_no_further_back_than_needed(tmp_path: Path) -> None:
    run = trained(tmp_path, {"training"})
    files = sorted(tmp_path.glob("phases/*/training/*.parquet"))
    assert [f.relative_to(tmp_path / "phases").as_posix() for f in files] == [
        f"00{(step - 1) // 2}/training/step-00000{step}.parquet" for step in (1, 2, 3, 4)
    ]
    files[1].unlink()  # step 2 held only a prompt that step 4 has, but 0 may have been in it
    with pytest.raises(DataError, match=r"step-000002\.parquet cannot be read.*restore it, or"):
        run.context(2)
    choose(tmp_path, 0, POOL[1:3])
    assert len(run.context(2).training) == 2  # all of them are in the second phase


def test_training_groups_are_kept_for_those_who_ask(tmp_path: Path) -> None:
    run = trained(tmp_path, {"rollouts"})
    assert not list(tmp_path.rglob("training"))
    assert run.context(2).training == {}


def test_other_processes_get_the_policy_of_the_last_checkpoint(tmp_path: Path) -> None:
    plain: Any = SimpleNamespace(parameters=lambda: [SimpleNamespace(requires_grad=True)])
    adapter: Any = SimpleNamespace(
        parameters=lambda: [SimpleNamespace(requires_grad=flag) for flag in (False, True)]
    )
    assert supply(tmp_path, set()).context(0).source is None

    run = supply(tmp_path, set(), workers=2)
    run.policy.model = plain
    source = run.context(0).source
    assert source is not None
    assert (source.model, source.cache, source.weights) == ("the model", tmp_path, None)
    assert run.context(0).workers == 2

    run.policy.model = adapter  # drawn anew by every load, so its weights must be sent
    source = run.context(0).source
    assert source is not None
    assert source.weights == tmp_path / "phases" / "000" / "weights"
    assert (source.weights / "policy.safetensors").exists()
    run.clear(0)
    assert not source.weights.exists()

    run.journal.progress.checkpoint = "checkpoints/step-000002"
    source = run.context(1).source
    assert source is not None
    assert source.weights == tmp_path / "checkpoints" / "step-000002"


@pytest.mark.parametrize("keep", [False, True])
def test_gradients_go_after_the_selection_unless_wanted(tmp_path: Path, keep: bool) -> None:
    run = supply(tmp_path, set(), keep_gradients=keep)
    folder = run.context(0).folder
    assert folder == tmp_path / "phases" / "000"
    (folder / "gradients").mkdir(parents=True)
    (folder / "scores.parquet").touch()
    run.clear(0)
    assert (folder / "gradients").exists() == keep
    assert (folder / "scores.parquet").exists()


def test_what_a_selector_can_ask_on_the_way(tmp_path: Path) -> None:
    run = supply(tmp_path, set(), policy="π")
    assert run.context(0).previous() is None
    choose(tmp_path, 0, POOL, value=0.25)
    scores = run.context(1).previous()
    assert scores is not None
    assert scores.values.tolist() == [0.25] * 5
    assert run.context(1).second_moment() == {"w": "π"}
    with run.context(1).stage("scoring", 3) as advance:
        advance(1, "")
    run.context(1).spend(Cost.of("selection", seconds=7.0))
    assert run.journal.cost.amounts == {"selection": {"seconds": 7.0}}


def test_runs_that_would_draw_the_same_draw_it_once_and_both_pay(tmp_path: Path) -> None:
    draws = Draws()
    options = {"runs": tmp_path / "runs"}
    first = supply(tmp_path / "one", {"rollouts", "validation"}, draws, **options)
    drawn = first.offline()
    calls = len(draws.calls)
    assert calls > 0
    second = supply(tmp_path / "two", {"rollouts"}, draws, **options)
    assert second.offline()["train"].keys() == drawn["train"].keys()
    assert len(draws.calls) == calls
    spent = [
        run.journal.cost.amounts["offline_rollout"]["graded"] for run in (first, second)
    ]
    assert spent[1] == len(POOL) * 2  # the pool's share of what the first paid
    assert spent[0] > spent[1]
    # Each keeps its own: what one loses the other still has.
    for path in (tmp_path / "one" / "rollouts" / "train").iterdir():
        path.unlink()
    assert supply(tmp_path / "two", {"rollouts"}, Draws(stop_after=0), **options).offline()


def test_another_policy_or_seed_draws_its_own(tmp_path: Path) -> None:
    draws = Draws()
    options = {"runs": tmp_path / "runs"}
    supply(tmp_path / "one", {"rollouts"}, draws, **options).offline()
    other = supply(tmp_path / "two", {"rollouts"}, draws, **options)
    other.identity = {"policy": "another"}
    other.offline()
    assert len(draws.calls) == 2 * 3  # three shards each
    assert len(list((tmp_path / "runs" / "shared").iterdir())) == 2


def test_a_run_killed_while_drawing_leaves_its_shards_to_the_next(tmp_path: Path) -> None:
    options = {"runs": tmp_path / "runs"}
    with pytest.raises(KeyboardInterrupt):
        supply(tmp_path / "one", {"rollouts"}, Draws(stop_after=2), **options).offline()
    rest = Draws()
    supply(tmp_path / "two", {"rollouts"}, rest, **options).offline()
    assert len(rest.calls) == 1
    again = Draws(stop_after=0)
    assert supply(tmp_path / "one", {"rollouts"}, again, **options).offline()["train"]


def test_the_second_waits_while_the_first_draws(tmp_path: Path) -> None:
    import threading

    started, go = threading.Event(), threading.Event()

    class Slow(Draws):
        def __call__(self, *arguments: Any, **options: Any) -> list[Group]:
            started.set()
            go.wait(20)
            return super().__call__(*arguments, **options)

    options = {"runs": tmp_path / "runs"}
    first, second = Slow(), Draws()
    one = threading.Thread(
        target=lambda: supply(tmp_path / "one", {"rollouts"}, first, **options).offline()
    )
    one.start()
    started.wait(20)
    two = threading.Thread(
        target=lambda: supply(tmp_path / "two", {"rollouts"}, second, **options).offline()
    )
    two.start()
    two.join(0.5)
    assert two.is_alive()
    go.set()
    one.join(20)
    two.join(20)
    assert (len(first.calls), len(second.calls)) == (3, 0)
