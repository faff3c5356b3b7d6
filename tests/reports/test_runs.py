from __future__ import annotations

from pathlib import Path

import pytest
from run_folders import write_run

from cropi.reports.runs import charged_seconds, find_runs, read_run
from cropi.runtime.errors import CropiError, DataError
from cropi.types import Cost


def test_a_run_is_read_with_its_curve_and_cost(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a", [0.2, 0.5, 0.6], seed=3))
    assert (run.run_id, run.seed, run.method) == ("a", 3, "cropi")
    assert (run.finished, run.steps) == (True, 20)
    curve = run.curve("eval/targeted")
    assert curve.steps.tolist() == [0, 10, 20]
    assert curve.values.tolist() == [0.2, 0.5, 0.6]
    # rollouts 100 s; selection 30 s and 20 s of training by step 10; evaluation not charged
    assert curve.seconds.tolist() == [100, 150, 170]
    assert run.cost.amounts["evaluation"]["seconds"] == 15
    assert run.curve("eval/absent").steps.size == 0


def test_an_unfinished_run_tells_what_it_spent_so_far(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a", [0.2, 0.5], finished=False))
    assert not run.finished
    assert run.cost.amounts["training"] == {
        "seconds": 20.0, "generated_tokens": 10_000.0, "backward_tokens": 5_000.0
    }


def test_a_run_that_only_just_started(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", [], finished=False)
    (folder / "metrics.jsonl").unlink()
    run = read_run(folder)
    assert run.steps == 0
    assert run.cost == Cost()


def test_loading_and_evaluation_are_not_charged() -> None:
    cost = sum(
        (Cost.of(p, seconds=s) for p, s in
         [("load", 1.0), ("offline_rollout", 2.0), ("selection", 4.0), ("training", 8.0),
          ("evaluation", 16.0)]),
        Cost(),
    )
    assert charged_seconds(cost) == 14.0


def test_runs_are_found_below_a_folder_each_once_and_not_inside_runs(tmp_path: Path) -> None:
    for name in ("b", "deep/a"):
        write_run(tmp_path / name, [0.1])
    inner = tmp_path / "b" / "rollouts"
    inner.mkdir()
    (inner / "manifest.json").write_text("{}")
    found = find_runs([tmp_path, tmp_path / "b"])
    assert [run.run_id for run in found] == ["b", "a"]


def test_no_runs_is_an_error_that_says_what_a_run_is(tmp_path: Path) -> None:
    with pytest.raises(CropiError, match=r"no runs below .* holds a manifest\.json"):
        find_runs([tmp_path])
    with pytest.raises(CropiError, match="is not a folder"):
        find_runs([tmp_path / "absent"])


@pytest.mark.parametrize("content", ["{", "{}", "[]"])
def test_a_broken_manifest_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="cannot be read as a run"):
        read_run(tmp_path)
