"""How much sooner: hand-made curves, methods that are the same, and methods that never arrive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from run_folders import write_run

from cropi.reports.acceleration import AXES, acceleration, reach, spent, target_of
from cropi.reports.arms import Arm, group
from cropi.reports.runs import find_runs
from cropi.runtime.errors import CropiError


def arms(folder: Path) -> dict[str, Arm]:
    return {arm.method: arm for arm in group(find_runs([folder]))}


def test_everything_is_charged_from_the_start(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.2, 0.4], selection_seconds=30.0)
    (run,) = find_runs([tmp_path])
    steps, seconds, values = spent(run, "seconds")
    assert steps.tolist() == [0, 10]
    assert seconds.tolist() == [100.0, 150.0]  # rollouts; then selection 30 and training 20
    assert values.tolist() == [0.2, 0.4]
    assert spent(run, "generated_tokens")[1].tolist() == [50_000, 60_000]
    assert spent(run, "compute_tokens")[1].tolist() == [50_000, 50_000 + 10_000 + 2 * 5_000]


def test_ratio_by_hand(tmp_path: Path) -> None:
    # Plateau of full: mean of .6 .8 .8 = .7333; 95 % of it is .69667.
    write_run(tmp_path / "full", [0.2, 0.6, 0.8, 0.8], method="full", selection_seconds=0.0)
    write_run(tmp_path / "cropi", [0.2, 0.8, 0.7, 0.9], method="cropi", selection_seconds=30.0)
    found = arms(tmp_path)
    target = target_of(found["full"])
    assert target.value == pytest.approx(0.95 * (0.6 + 0.8 + 0.8) / 3)
    full, cropi = (reach(found[name], target, "steps").value for name in ("full", "cropi"))
    assert full == pytest.approx(10 + 10 * (target.value - 0.6) / 0.2)
    assert cropi == pytest.approx(10 * (target.value - 0.2) / 0.6)
    assert full is not None
    assert cropi is not None
    by_steps = acceleration(found["full"], found["cropi"], target, "steps")
    assert by_steps.ratio == pytest.approx(full / cropi)
    assert (by_steps.bound, by_steps.low, by_steps.n) == ("exact", None, 1)
    # In seconds the method pays for its selection: on the line between its first two evaluations.
    share = (target.value - 0.2) / 0.6
    seconds = acceleration(found["full"], found["cropi"], target, "seconds")
    assert seconds.ratio == pytest.approx((100 + 2 * full) / (100 + 50 * share))


def test_a_dip_does_not_count_and_a_target_reached_is_reached(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.2, 0.9, 0.1, 0.1], method="full")
    (arm,) = group(find_runs([tmp_path]))
    assert reach(arm, target_of(arm, 0.8), "steps").value == pytest.approx(10 * 6 / 7)


def test_never_reached_is_a_bound(tmp_path: Path) -> None:
    write_run(tmp_path / "full", [0.2, 0.8, 0.8, 0.8], method="full")
    write_run(tmp_path / "poor", [0.2, 0.3, 0.3, 0.3], method="poor")
    found = arms(tmp_path)
    target = target_of(found["full"])
    missed = reach(found["poor"], target, "steps")
    assert (missed.value, missed.last) == (None, 30.0)
    bound = acceleration(found["full"], found["poor"], target, "steps")
    reached = reach(found["full"], target, "steps").value
    assert reached is not None
    assert (bound.ratio, bound.bound) == (pytest.approx(reached / 30.0), "at most")
    other = acceleration(found["poor"], found["full"], target, "steps")
    assert (other.ratio, other.bound) == (None, "undefined")


def test_targets(tmp_path: Path) -> None:
    write_run(tmp_path / "full", [0.2, 0.8, 0.6], method="full")
    (arm,) = group(find_runs([tmp_path]))
    assert target_of(arm, "final").value == 0.6
    assert target_of(arm, "0.5").value == 0.5
    for wrong in ("best", "1.5"):
        with pytest.raises(CropiError, match=f"--target {wrong}"):
            target_of(arm, wrong)


def test_two_identical_methods_are_equally_fast(tmp_path: Path) -> None:
    # hydra_ux.md, section 4: five seeds, 1 point of noise, 95 % of the plateau: 0.95 to 1.04.
    generator = np.random.default_rng(0)
    steps = np.arange(13)
    curve = 0.4 + 0.4 * (1 - np.exp(-steps / 3))
    ratios = []
    for number in range(20):
        folder = tmp_path / str(number)
        for method in ("full", "same"):
            for seed in range(5):
                noisy = np.clip(curve + generator.normal(0, 0.01, 13), 0, 1)
                write_run(folder / f"{method}{seed}", list(noisy), method=method, seed=seed)
        found = arms(folder)
        result = acceleration(
            found["full"], found["same"], target_of(found["full"]), "steps", draws=200
        )
        assert result.bound == "exact"
        assert result.low is not None
        assert result.high is not None
        ratios.append((result.ratio, result.low <= 1.0 <= result.high))
    assert np.mean([ratio for ratio, _ in ratios]) == pytest.approx(1.0, abs=0.03)
    assert max(abs(np.log([ratio for ratio, _ in ratios]))) < 0.2
    assert sum(inside for _, inside in ratios) >= 15


def test_the_same_runs_give_exactly_one(tmp_path: Path) -> None:
    for method in ("full", "same"):
        for seed in range(3):
            write_run(tmp_path / f"{method}{seed}", [0.2, 0.5 + seed / 10, 0.8],
                      method=method, seed=seed)
    found = arms(tmp_path)
    target = target_of(found["full"])
    for axis in AXES:
        result = acceleration(found["full"], found["same"], target, axis, draws=100)
        assert (result.ratio, result.low, result.high) == (1.0, 1.0, 1.0)
