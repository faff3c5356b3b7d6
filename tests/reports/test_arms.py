from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from run_folders import write_run

from cropi.reports.arms import TARGETED, Arm, group, levels, spread, steps_to
from cropi.reports.runs import Curve, find_runs


def arms_in(folder: Path) -> list[Arm]:
    return group(find_runs([folder]))


def curve(*points: tuple[float, float]) -> Curve:
    steps, values = map(np.array, zip(*points, strict=True))
    return Curve(steps, steps, values)


def test_seeds_of_a_config_are_one_arm_and_its_curve_is_their_mean(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.2, 0.4, 0.8], seed=1)
    write_run(tmp_path / "b", [0.2, 0.6, 0.6], seed=0, selection_seconds=50.0)
    write_run(tmp_path / "c", [0.3, 0.3, 0.3], method="random")
    both, random = arms_in(tmp_path)
    assert (both.label, [run.seed for run in both.runs]) == ("cropi", [0, 1])
    assert (random.label, len(random.runs)) == ("random", 1)
    mean = both.mean_curve(TARGETED)
    assert mean.values.tolist() == pytest.approx([0.2, 0.5, 0.7])
    assert mean.seconds.tolist() == pytest.approx([100, 160, 180])


def test_the_mean_is_over_steps_that_all_seeds_have(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.0, 0.2, 0.4], seed=0)
    write_run(tmp_path / "b", [0.0, 0.4], seed=1)
    (arm,) = arms_in(tmp_path)
    assert arm.mean_curve(TARGETED).steps.tolist() == [0, 10]
    assert arm.mean_curve(TARGETED).values.tolist() == pytest.approx([0.0, 0.3])


def test_an_unfinished_run_is_never_averaged_in(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.2, 0.4], seed=0)
    write_run(tmp_path / "b", [0.9, 0.9], seed=1, finished=False)
    done, open_ = arms_in(tmp_path)
    assert (done.finished, [run.seed for run in done.runs]) == (True, [0])
    assert (open_.finished, [run.seed for run in open_.runs]) == (False, [1])
    assert levels([done, open_]) == {done.setting: pytest.approx(0.95 * 0.4)}


def test_different_configs_of_a_method_are_told_apart(tmp_path: Path) -> None:
    for i, alpha in enumerate((0.1, 0.2)):
        write_run(tmp_path / str(i), [0.1], selector={"_target_": "x", "alpha": alpha})
    write_run(tmp_path / "other", [0.1], method="full")
    assert [arm.label for arm in arms_in(tmp_path)] == [
        "cropi (selector.alpha=0.1)", "cropi (selector.alpha=0.2)", "full"
    ]


def test_a_differing_option_stands_for_its_keys(tmp_path: Path) -> None:
    for option in ("gsm8k", "math"):
        write_run(
            tmp_path / option, [0.1], choices={"benchmark": option},
            benchmark={"_target_": option, "rows": len(option), "more": option},
        )
    assert [arm.label for arm in arms_in(tmp_path)] == [
        "cropi (benchmark=gsm8k)", "cropi (benchmark=math)"
    ]


def test_steps_to_a_level_are_interpolated_on_the_running_maximum() -> None:
    assert steps_to(curve((0, 0.2), (10, 0.4), (20, 0.8)), 0.5) == pytest.approx(12.5)
    # the dip at 20 does not count: the line runs from 0.4, its best so far, to 0.8
    assert steps_to(curve((0, 0.2), (10, 0.4), (20, 0.1), (30, 0.8)), 0.6) == pytest.approx(25.0)
    assert steps_to(curve((0, 0.5), (10, 0.4)), 0.5) == 0.0
    assert steps_to(curve((0, 0.2), (10, 0.4)), 0.5) is None
    assert steps_to(curve((0, 0.2), (10, 0.4)), 0.4) == 10.0


def test_the_level_is_set_by_the_best_final_mean_of_the_same_benchmark(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.2, 0.9, 0.6], seed=0)  # its best point is not its final one
    write_run(tmp_path / "b", [0.2, 0.9, 0.8], seed=1)
    write_run(tmp_path / "c", [0.2, 0.2, 0.5], method="random")
    write_run(tmp_path / "d", [0.2, 0.2, 1.0], method="random", benchmark={"_target_": "other"})
    found = arms_in(tmp_path)
    reach = levels(found)
    assert [reach[arm.setting] for arm in found] == pytest.approx(
        [0.95 * 0.7, 0.95 * 0.7, 0.95 * 1.0]
    )


def test_spread_is_the_sample_deviation() -> None:
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(1.0)
    assert spread([1.0]) is None
