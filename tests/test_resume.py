"""Kill it anywhere, type the same command, and it finishes with the same bits.

Each run here is a forked child of this process (torch is imported once) that calls the command
line's own entry point; a kill is a real SIGKILL at an exact moment: before or after the n-th
rename of a finished file or folder, the moments at which half-done state could be left behind.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from cropi.contracts import Requirement, SelectionContext, Selector, Share
from cropi.runtime.parts import part
from cropi.selectors.ranking import take_top
from cropi.types import Group, Prompt, Scores, Selection

COMMON = ["debug=tiny", "trainer.learning_rate=2e-3"]
COMMAND = [*COMMON, "selector=learnability", "selector.alpha=0.3"]
KILLED = -signal.SIGKILL
pytestmark = pytest.mark.slow


def run(
    runs: Path,
    cache: Path,
    *overrides: str,
    command: Sequence[str] = COMMAND,
    before: Callable[[], None] | None = None,
) -> int:
    """The exit code of ``cropi …`` in a child process; ``before`` is called in it first."""

    def child() -> None:
        # A child must not write into pytest's captured files.
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        if before is not None:
            before()
        from cropi.cli import main

        os._exit(main([*command, f"runs={runs}", f"cache={cache}", *overrides]))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(timeout=240)
    assert process.exitcode is not None, "the run hangs"
    return process.exitcode


def die_at_rename(number: int, *, after: bool, of: str = "") -> Callable[[], None]:
    """SIGKILL this process around its ``number``-th os.replace of a path with ``of`` in it."""

    def arm() -> None:
        original, seen = os.replace, 0

        def replace(source: Any, target: Any) -> None:
            nonlocal seen
            counts = of in str(target)
            seen += counts
            if counts and seen == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            original(source, target)
            if counts and seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = replace  # type: ignore[assignment]

    return arm


def the_folder(runs: Path) -> Path:
    (folder,) = (p for p in runs.iterdir() if p.is_dir() and p.name != "shared")
    return folder


def is_time(name: str) -> bool:
    return "time" in name or "seconds" in name


def facts(folder: Path) -> dict[str, Any]:
    """Everything a run leaves that must not depend on where it was interrupted."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line["metrics"] = {k: v for k, v in line["metrics"].items() if not is_time(k)}
    result = json.loads((folder / "result.json").read_text())
    result["cost"] = {
        purpose: {k: v for k, v in kinds.items() if k != "seconds"}
        for purpose, kinds in result["cost"].items()
    }
    found: dict[str, Any] = {"metrics": lines, "result": result}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".safetensors":
            found[name] = {k: v.tobytes() for k, v in load_file(path).items()}
        elif path.suffix == ".parquet":
            rows = pq.read_table(path).to_pylist()
            found[name] = [str(row) for row in rows]  # as text NaN equals NaN
        elif path.name == "selection.jsonl":
            found[name] = path.read_text()
        else:
            assert path.suffix != ".part", f"{name} was left behind"
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    # What every child would import is imported once, before the forks.
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # noqa: F401

    import cropi.configuration
    import cropi.experiment  # noqa: F401

    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> dict[str, Any]:
    runs = tmp_path_factory.mktemp("whole")
    assert run(runs, cache) == 0
    return facts(the_folder(runs))


@pytest.fixture(scope="module")
def renames(tmp_path_factory: pytest.TempPathFactory, cache: Path, uninterrupted: Any) -> int:
    """How many renames an uninterrupted run makes (the warm start is cached by now)."""
    counter = tmp_path_factory.mktemp("count") / "renames"

    def count() -> None:
        original, seen = os.replace, 0

        def replace(*arguments: Any, **kwargs: Any) -> None:
            nonlocal seen
            seen += 1
            original(*arguments, **kwargs)
            counter.write_text(str(seen))

        os.replace = replace  # type: ignore[assignment]

    assert run(tmp_path_factory.mktemp("counted"), cache, before=count) == 0
    return int(counter.read_text())


def test_the_run_under_test_learns_something(uninterrupted: dict[str, Any]) -> None:
    # Otherwise identical weights would prove nothing.
    final = uninterrupted["final/model.safetensors"]
    train = [line for line in uninterrupted["metrics"] if line["kind"] == "train"]
    assert len(train) == 6
    assert any(line["metrics"]["grad_norm"] > 0 for line in train)
    assert final
    assert {line["kind"] for line in uninterrupted["metrics"]} == {
        "rollouts", "selection", "train", "evaluation"
    }


def test_a_second_seed_differs(
    tmp_path: Path, cache: Path, uninterrupted: dict[str, Any]
) -> None:
    assert run(tmp_path, cache, "seed=1") == 0
    other = facts(the_folder(tmp_path))
    assert other["final/model.safetensors"] != uninterrupted["final/model.safetensors"]


@pytest.mark.parametrize("moment", range(10))
def test_killed_at_ten_moments_and_started_again(
    tmp_path: Path, cache: Path, uninterrupted: dict[str, Any], renames: int, moment: int
) -> None:
    number = 1 + moment * (renames - 1) // 9
    arm = die_at_rename(number, after=moment % 2 == 1)
    assert run(tmp_path, cache, before=arm) == KILLED
    assert run(tmp_path, cache) == 0
    assert facts(the_folder(tmp_path)) == uninterrupted


def test_killed_again_and_again(
    tmp_path: Path, cache: Path, uninterrupted: dict[str, Any]
) -> None:
    # Resuming twice drifts where once does not, when state is restored only in part.
    for attempt in range(40):
        code = run(tmp_path, cache, before=die_at_rename(12, after=attempt % 2 == 0))
        if code == 0:
            break
        assert code == KILLED
    assert code == 0
    assert attempt >= 3
    assert facts(the_folder(tmp_path)) == uninterrupted


def test_lost_rollouts_are_drawn_again_with_the_starting_policy(
    tmp_path: Path, cache: Path, uninterrupted: dict[str, Any], renames: int
) -> None:
    arm = die_at_rename(renames * 6 // 10, after=True)
    assert run(tmp_path, cache, before=arm) == KILLED
    folder = the_folder(tmp_path)
    progress = json.loads((folder / "state.json").read_text())["progress"]
    assert progress["step"] > 0
    assert progress["selected"] == 0  # the second phase has not read the store yet
    (folder / "rollouts" / "train" / "part-00001.parquet").unlink()
    assert run(tmp_path, cache) == 0
    assert facts(folder) == uninterrupted


def test_other_checkpoint_intervals_change_nothing(
    tmp_path: Path, cache: Path, uninterrupted: dict[str, Any]
) -> None:
    arm = die_at_rename(20, after=True)
    assert run(tmp_path, cache, "checkpoint_every=1", before=arm) == KILLED
    assert run(tmp_path, cache, "checkpoint_every=1") == 0
    folder = the_folder(tmp_path)
    assert facts(folder)["metrics"] == uninterrupted["metrics"]
    assert facts(folder)["result"] == uninterrupted["result"]


def test_a_finished_run_prints_its_result_and_does_nothing(tmp_path: Path, cache: Path) -> None:
    assert run(tmp_path, cache) == 0
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert run(tmp_path, cache) == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == stamps


@pytest.fixture
def busy(tmp_path: Path, cache: Path) -> Iterator[Path]:
    """A runs folder whose run is held by this process."""
    from cropi.runtime.locks import exclusive

    assert run(tmp_path, cache, before=die_at_rename(5, after=True)) == KILLED
    with exclusive(the_folder(tmp_path)):
        yield tmp_path


def test_two_starts_at_once(busy: Path, cache: Path) -> None:
    before = (the_folder(busy) / "log.txt").read_text()
    assert run(busy, cache) == 1
    assert (the_folder(busy) / "log.txt").read_text() == before


def test_a_run_whose_model_changed_is_refused(tmp_path: Path, cache: Path) -> None:
    assert run(tmp_path, cache, before=die_at_rename(12, after=True)) == KILLED
    manifest = the_folder(tmp_path) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"model": "', '"model": "other'))
    assert run(tmp_path, cache) == 1


@part
class Curious(Selector):
    """Uses everything that a phase can be given, so that a difference in any of it shows."""

    requires: ClassVar[frozenset[Requirement]] = frozenset(
        {"rollouts", "validation", "validation_prompts", "training"}
    )
    alpha: Share = 0.3
    refresh: Any = "phase"

    def score(self, pool: Sequence[Prompt], context: SelectionContext) -> Scores:
        assert context.fresh is not None
        assert context.folder is not None

        def mean(groups: Sequence[Group]) -> float:
            return float(np.mean([t.log_probs.sum() for g in groups for t in g.trajectories]))

        # Which prompts are drawn anew depends on what is stored: a run that was killed in the
        # middle must ask for the same ones.
        worst = sorted(pool, key=lambda prompt: mean([context.rollouts[prompt.id]]))[:30]
        fresh = context.rollouts | context.fresh("train", worst)
        target = context.fresh("validation/A", context.validation_prompts["A"])
        shift = mean(list(target.values())) - mean(context.validation["A"])
        moments = context.second_moment() or {}
        shift += sum(float(moment.sum()) for moment in moments.values())
        before = context.previous()
        past = before.values if before else np.zeros(len(pool))
        (context.folder / "gradients").mkdir(exist_ok=True)
        (context.folder / "gradients" / "rows.parquet").write_text("must not be left behind")
        values = [
            shift * mean([fresh[p.id], *filter(None, [context.training.get(p.id)])]) for p in pool
        ]
        return Scores(
            tuple(p.id for p in pool), np.array(values) + past, np.ones(len(pool), dtype=bool),
            {"trained": np.array([p.id in context.training for p in pool])},
        )

    def select(self, scores: Scores, budget: int) -> Selection:
        return take_top(scores, budget, lambda i: f"{scores.values[i]:.17g}", empty="empty")


@pytest.fixture(scope="module")
def curious(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of a run with that selector."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "selector").mkdir()
    (folder / "selector" / "curious.yaml").write_text(
        f"# Curious.\n_target_: {__name__}.Curious\nalpha: 0.3\nrefresh: phase\n"
    )
    return ["--config-dir", str(folder), *COMMON, "selector=curious"]


@pytest.fixture(scope="module")
def satisfied(
    tmp_path_factory: pytest.TempPathFactory, cache: Path, curious: list[str]
) -> dict[str, Any]:
    runs = tmp_path_factory.mktemp("satisfied")
    assert run(runs, cache, command=curious) == 0
    return facts(the_folder(runs))


def test_a_curious_run_leaves_what_it_was_given(satisfied: dict[str, Any]) -> None:
    # Of two phases of three steps: 25 + 5 fresh prompts of the pool, 8 of validation set A.
    for phase in ("000", "001"):
        fresh = f"phases/{phase}/rollouts"
        assert len(satisfied[f"{fresh}/train/part-00000.parquet"]) == 25 * 4
        assert len(satisfied[f"{fresh}/train/part-00001.parquet"]) == 5 * 4
        assert len(satisfied[f"{fresh}/validation/A/part-00000.parquet"]) == 8 * 4
    steps = [f"phases/{(i - 1) // 3:03d}/training/step-{i:06d}.parquet" for i in range(1, 7)]
    assert all(len(satisfied[name]) == 4 * 4 for name in steps)
    assert not [name for name in satisfied if "gradients" in name]
    spent = satisfied["result"]["cost"]["selection"]
    assert spent["graded"] == 2 * (30 + 8) * 4
    rows = satisfied["phases/001/scores.parquet"]
    assert 0 < sum("'component/trained': True" in row for row in rows) < 60


@pytest.mark.parametrize(("of", "number", "after"), [
    ("phases/000/rollouts/train", 1, True),  # a shard that no index knows
    ("phases/001/rollouts/train", 3, False),  # the first shard is there, the second is not
    ("phases/001/rollouts/validation", 2, True),  # all is drawn, nothing is charged
    ("phases/001/selection", 1, True),  # chosen, not committed
    ("phases/001/training", 2, True),  # a step's groups, after the last checkpoint
])  # fmt: skip
def test_killed_while_a_selector_is_served(
    tmp_path: Path, cache: Path, curious: list[str], satisfied: dict[str, Any],
    of: str, number: int, after: bool,
) -> None:  # fmt: skip
    arm = die_at_rename(number, after=after, of=of)
    assert run(tmp_path, cache, command=curious, before=arm) == KILLED
    assert run(tmp_path, cache, command=curious) == 0
    assert facts(the_folder(tmp_path)) == satisfied


def test_killed_between_the_commit_and_the_clearing(
    tmp_path: Path, cache: Path, curious: list[str], satisfied: dict[str, Any]
) -> None:
    def arm() -> None:
        from cropi.supply import Supply

        def die(supply: Supply, phase: int) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        Supply.clear = die  # type: ignore[method-assign]

    assert run(tmp_path, cache, command=curious, before=arm) == KILLED
    assert (the_folder(tmp_path) / "phases" / "000" / "gradients").exists()
    assert run(tmp_path, cache, command=curious) == 0
    assert facts(the_folder(tmp_path)) == satisfied
