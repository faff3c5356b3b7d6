"""What is compared with what, and what is never averaged over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_folders import add_outcomes, write_run

from cropi.reports.arms import group
from cropi.reports.comparison import Row, compare
from cropi.reports.runs import find_runs
from cropi.runtime.errors import CropiError

ITEMS = 200


def arm(folder: Path, method: str, right: float, seeds: int = 3, **config: Any) -> None:
    """Seeds of a method that answers this share of the same items, one item more a seed."""
    for seed in range(seeds):
        known = round(right * ITEMS) + seed
        run = write_run(folder / f"{method}{seed}", [0.1, known / ITEMS], method=method, seed=seed,
                        **config)  # fmt: skip
        add_outcomes(run, {"A": [[float(n < known)] for n in range(ITEMS)]}, step=10)


def rows(folder: Path, *, keys: tuple[str, ...] = (), **options: Any) -> dict[str, Row]:
    found = compare(group(find_runs([folder]), keys), **options)
    return {f"{row.arm.label}{row.state and ' ' + row.state}": row for row in found.rows}


def test_the_best_is_best_only_where_it_is_significantly_above_all(tmp_path: Path) -> None:
    arm(tmp_path, "full", 0.5)
    arm(tmp_path, "cropi", 0.7)
    arm(tmp_path, "random", 0.4)
    assert [name for name, row in rows(tmp_path).items() if row.best] == ["cropi"]
    arm(tmp_path, "near", 0.695)  # one item less: no other of the three differs from it now
    assert [name for name, row in rows(tmp_path).items() if row.best] == []


def test_the_best_is_tested_against_all_others_at_once(tmp_path: Path) -> None:
    arm(tmp_path, "cropi", 0.52, seeds=1)
    arm(tmp_path, "full", 0.50, seeds=1)  # four items of 200: p = 0.046
    assert rows(tmp_path)["cropi"].best
    arm(tmp_path, "random", 0.50, seeds=1)  # twice that is not significant
    assert not rows(tmp_path)["cropi"].best


def test_each_setting_has_its_own_best_and_baseline(tmp_path: Path) -> None:
    for number, benchmark in enumerate(("easy", "hard")):
        config = {"benchmark": {"_target_": benchmark}}
        arm(tmp_path / benchmark, "full", 0.5 - 0.2 * number, **config)
        arm(tmp_path / benchmark, "cropi", 0.7 - 0.2 * number, **config)
    found = rows(tmp_path)
    assert sorted(name for name, row in found.items() if row.best) == [
        "cropi (benchmark._target_=easy)", "cropi (benchmark._target_=hard)"
    ]
    for name in ("easy", "hard"):
        row = found[f"cropi (benchmark._target_={name})"]
        assert row.baseline is not None
        assert row.baseline.label == f"full (benchmark._target_={name})"
        assert row.versus is not None
        assert row.versus.mean == pytest.approx(0.2)


def test_a_model_is_compared_with_itself(tmp_path: Path) -> None:
    for model in ("small", "large"):
        arm(tmp_path / model, "full", 0.3 if model == "small" else 0.6, model=model)
    arm(tmp_path, "cropi", 0.7, model="large")
    cropi = rows(tmp_path)["cropi"]
    assert cropi.baseline is not None
    assert cropi.baseline.label == "full (model=large)"
    named = rows(tmp_path, baseline="full (model=small)")["cropi"]
    assert named.baseline is not None
    assert named.baseline.label == "full (model=small)"
    arm(tmp_path, "random", 0.5, model="another")
    assert rows(tmp_path)["random"].baseline is None


def test_the_nearest_of_several_baselines_is_taken(tmp_path: Path) -> None:
    for steps in (10, 99):
        arm(tmp_path / str(steps), "full", 0.5, steps=steps)
    arm(tmp_path, "cropi", 0.7, steps=99)
    cropi = rows(tmp_path)["cropi"]
    assert cropi.baseline is not None
    assert cropi.baseline.label == "full (steps=99)"


def test_p_values_are_corrected_for_the_whole_family(tmp_path: Path) -> None:
    arm(tmp_path, "full", 0.5)
    arm(tmp_path, "cropi", 0.52)
    alone = rows(tmp_path)["cropi"]
    assert alone.versus is not None
    assert alone.versus.p is not None
    assert alone.p == alone.versus.p
    for number in range(3):
        arm(tmp_path, f"other{number}", 0.5)  # these differ by nothing: no p, no member
    arm(tmp_path, "worse", 0.2)
    together = rows(tmp_path)
    assert together["cropi"].p == pytest.approx(alone.p)  # the larger of two
    assert together["worse"].versus is not None
    assert together["worse"].p == pytest.approx(min(1.0, 2 * (together["worse"].versus.p or 1)))


def test_seeds_with_a_missing_cell_are_marked_and_in_no_mean(tmp_path: Path) -> None:
    values = {("easy", 0): 0.8, ("hard", 0): 0.2, ("easy", 1): 0.9, ("hard", 1): 0.3,
              ("easy", 2): 1.0}  # fmt: skip
    for (benchmark, seed), value in values.items():
        write_run(tmp_path / f"{benchmark}{seed}", [0.1, value], seed=seed,
                  benchmark={"_target_": benchmark})
    write_run(tmp_path / "open", [0.1, 0.9], seed=2, benchmark={"_target_": "hard"},
              finished=False)
    found = rows(tmp_path, keys=("selector.alpha",))
    row = found["cropi (selector.alpha=0.1)"]
    assert row.final is not None
    assert row.final.n == 2
    assert row.final.mean == pytest.approx((0.8 + 0.2 + 0.9 + 0.3) / 4)
    assert row.final.deviation == pytest.approx(0.1 / 2**0.5)
    assert row.arm.incomplete == (2,)
    assert "cropi (selector.alpha=0.1) unfinished" in found


def test_a_run_that_never_began_is_one_of_its_configuration(tmp_path: Path) -> None:
    """A sweep records the whole configuration of a failure, a manifest what can change a result."""
    run = write_run(tmp_path / "a", [0.1, 0.5])
    manifest = json.loads((run / "manifest.json").read_text())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "failure.json").write_text(json.dumps({
        "error": "no memory", "choices": manifest["choices"],
        "config": {**manifest["config"], "seed": 1, "runs": "runs", "checkpoint_every": 5},
    }))
    for keys in ((), ("selector.alpha",)):
        done, failed = rows(tmp_path, keys=keys).values()
        assert done.final is not None
        assert failed.state == "failed: no memory"
        assert done.arm.label == failed.arm.label
        assert done.missing == ()


def test_a_benchmark_that_no_seed_has_finished_leaves_no_mean(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.1, 0.9], benchmark={"_target_": "easy"})
    write_run(tmp_path / "b", [0.1, 0.2], benchmark={"_target_": "hard"}, finished=False)
    found = rows(tmp_path, keys=("selector.alpha",))
    assert found["cropi (selector.alpha=0.1) incomplete"].final is None


def test_the_same_run_twice_is_one_seed(tmp_path: Path) -> None:
    for name in ("a", "copy"):
        write_run(tmp_path / name, [0.1, 0.5])
    (row,) = rows(tmp_path).values()
    assert row.final is not None
    assert (row.final.n, row.final.low) == (1, None)


def test_seeds_that_others_have_are_missing(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path / f"full{seed}", [0.1, 0.5], seed=seed, method="full")
    write_run(tmp_path / "cropi0", [0.1, 0.5])
    write_run(tmp_path / "cropi1", [0.1, 0.5], seed=1, finished=False)
    found = rows(tmp_path)
    assert (found["cropi"].missing, found["full"].missing) == ((2,), ())


def test_the_middle_is_over_all_test_sets(tmp_path: Path) -> None:
    sets = {"A": [[1.0], [0.0]], "B": [[1.0], [1.0]], "C": [[0.0], [0.0]]}
    run = write_run(tmp_path / "a", [0.1, 0.5])
    add_outcomes(run, sets, step=10)
    (row,) = rows(tmp_path).values()
    assert row.middle == (pytest.approx(0.5), None, None)  # of .5, 1, 0: none of three is cut off


def test_metrics_without_items_are_paired_by_seed(tmp_path: Path) -> None:
    for method, gain in (("full", 0.0), ("cropi", 0.1)):
        for seed in range(3):
            write_run(tmp_path / f"{method}{seed}", [0.1, 0.5], method=method, seed=seed)
            path = tmp_path / f"{method}{seed}" / "result.json"
            extra = f'"metrics": {{"eval/A/mean_length": {seed + gain * (seed + 1)}, '
            path.write_text(path.read_text().replace('"metrics": {', extra))
    row = rows(tmp_path, metric="eval/A/mean_length")["cropi"]
    assert row.versus is not None
    assert (row.versus.mean, row.versus.seeds) == (pytest.approx(0.2), 3)
    assert row.target is None  # of a length, more is not better
    assert not row.faster


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.1, 0.5])
    with pytest.raises(CropiError, match=r'eval/target: .*did you mean "eval/targeted"'):
        rows(tmp_path, metric="eval/target")
    with pytest.raises(CropiError, match=r'ful: .*did you mean "cropi"|ful: no finished run'):
        rows(tmp_path, baseline="ful")
    with pytest.raises(CropiError, match=r'alpa: .*did you mean "selector.alpha"'):
        rows(tmp_path, keys=("selector.alpa",))
