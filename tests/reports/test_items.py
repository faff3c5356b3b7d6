from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_folders import add_outcomes, write_run

from cropi.evaluation.outcomes import read_outcomes
from cropi.reports.items import item_scores, mean_of
from cropi.reports.runs import read_run

ODD = "math/level 5"


def written(folder: Path) -> Path:
    run = write_run(folder, [0.2, 0.5])
    add_outcomes(run, {"A": [[0, 0], [0, 0]]}, step=0)
    add_outcomes(
        run, {"A": [[1, 0], [None, 1], [None, None]], ODD: [[1, 1], [0, 0.5]]}, step=10
    )
    return run


def test_the_last_evaluation_is_read_by_set_and_item(tmp_path: Path) -> None:
    run = read_run(written(tmp_path / "a"))
    targeted = {"A/i0": 0.5, "A/i1": 1.0}  # i2 cannot be scored
    other = {f"{ODD}/i0": 1.0, f"{ODD}/i1": 0.25}
    assert item_scores(run, "eval/targeted") == targeted
    assert item_scores(run, "eval/untargeted") == other
    assert item_scores(run, "eval/all") == targeted | other
    assert item_scores(run, f"eval/{ODD}/avg@2") == other
    for metric in (f"eval/{ODD}/pass@2", "eval/A/mean_length", "train/reward"):
        assert item_scores(run, metric) == {}


def test_it_is_as_the_evaluation_reads_it(tmp_path: Path) -> None:
    run = written(tmp_path / "a")
    path = run / "evaluations" / "step-000010" / "A.parquet"
    scores = read_outcomes(path).item_scores()
    found = item_scores(read_run(run), "eval/targeted")
    assert found == {f"A/{item}": score for item, score in scores.items()}


def test_manifests_of_before_name_no_targeted_sets(tmp_path: Path) -> None:
    data = {"train": {}, "validation/A": {}, "test/A": {}, "test/C": {}}
    run = write_run(tmp_path / "a", [0.2])
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "data": data}))
    assert read_run(run).targeted == ("A",)
    assert item_scores(read_run(run), "eval/targeted") == {}  # nothing was kept


def test_a_mean_is_over_items_that_all_have() -> None:
    found = mean_of([{"a": 1.0, "b": 0.0}, {"a": 0.5, "c": 1.0}])
    assert found == {"a": pytest.approx(0.75)}
