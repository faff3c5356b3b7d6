"""How much sooner: hand-made curves, methods that are the same, and methods that never arrive."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from run_folders import run_of, write_run

from cropi.reports.acceleration import AXES, Reached, acceleration, reach, spent, target_of
from cropi.reports.arms import Arm, group
from cropi.reports.runs import find_runs
from cropi.runtime.errors import CropiError
from cropi.types import FloatArray


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
    # In seconds the method pays for its selection, whole from the first step on.
    seconds = acceleration(found["full"], found["cropi"], target, "seconds")
    assert seconds.ratio == pytest.approx((100 + 2 * full) / (100 + 30 + 2 * cropi))


def test_a_selection_is_charged_whole_as_soon_as_a_step_follows_it(tmp_path: Path) -> None:
    # Of a straight line from evaluation to evaluation, half of it would be missing at step 5.
    write_run(tmp_path / "a", [0.0, 0.4], selection_seconds=30.0)
    (arm,) = group(find_runs([tmp_path]))
    for level, seconds in ((0.0, 100.0), (0.001, 130.05), (0.2, 140.0), (0.4, 150.0)):
        assert reach(arm, target_of(arm, level), "seconds").value == pytest.approx(seconds)


def test_a_later_selection_is_charged_to_who_needs_what_follows_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", [0.0, 0.4, 0.8], selection_seconds=0.0)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if json.loads(line)["step"] == 20)
    whole = [json.loads(line) for line in lines]
    again = {**whole[at - 1], "kind": "selection",
             "metrics": {**whole[at - 1]["metrics"], "cost/selection/seconds": 50.0}}
    del again["metrics"]["eval/targeted"]
    for later in whole[at:]:
        later["metrics"]["cost/selection/seconds"] = 50.0
    rows = [*whole[:at], again, *whole[at:]]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (arm,) = group(find_runs([tmp_path]))
    for level, seconds in ((0.4, 120.0), (0.41, 100 + 2 * 10.25 + 50), (0.8, 190.0)):
        assert reach(arm, target_of(arm, level), "seconds").value == pytest.approx(seconds)


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


STEPS = np.arange(13)


def simulated(
    generator: np.random.Generator, method: str, pace: float, shared: FloatArray, noise: float
) -> Arm:
    """Seeds that rise to 0.8, each to its own height, half of it shared; then noise."""
    rise = 0.4 + 0.4 * (1 - np.exp(-STEPS / pace))
    own = generator.normal(0, noise, (len(shared), 1))
    height = (shared + own) / np.sqrt(2) * np.linspace(0.3, 1, len(STEPS))
    values = rise + height + generator.normal(0, 0.01, (len(shared), len(STEPS)))
    return Arm(method, (), tuple(run_of(v, seed=s, method=method) for s, v in enumerate(values)))


def test_two_identical_methods_are_equally_fast() -> None:
    # hydra_ux.md, section 4: five seeds, 1 point of noise, 95 % of the plateau: 0.95 to 1.04.
    generator = np.random.default_rng(0)
    ratios, inside = [], 0
    for _ in range(200):
        full, same = (
            simulated(generator, name, 3.0, np.zeros((5, 1)), 0.0) for name in ("full", "same")
        )
        result = acceleration(full, same, target_of(full), "steps", draws=200)
        assert result.bound == "exact"
        assert result.ratio is not None
        assert result.low is not None
        assert result.high is not None
        ratios.append(result.ratio)
        inside += result.low <= 1.0 <= result.high
    assert np.mean(np.log(ratios)) == pytest.approx(0.0, abs=0.01)
    assert np.quantile(np.abs(np.log(ratios)), 0.95) < 0.15
    assert inside / 200 > 0.92


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_the_interval_covers_the_acceleration(n: int) -> None:
    # Percentiles alone: 0.53, 0.78, 0.88, 0.90.
    exact = [Arm(m, (), (run_of(0.4 + 0.4 * (1 - np.exp(-STEPS / p)), method=m),))
             for m, p in (("full", 3.0), ("fast", 2.0))]  # fmt: skip
    truth = acceleration(*exact, target_of(exact[0]), "steps").ratio
    assert truth == pytest.approx(1.495, abs=0.001)
    generator, inside, rounds = np.random.default_rng(n), 0, 300
    for _ in range(rounds):
        shared = generator.normal(0, 0.02, (n, 1))
        full, fast = (
            simulated(generator, m, p, shared, 0.02) for m, p in (("full", 3.0), ("fast", 2.0))
        )
        result = acceleration(full, fast, target_of(full), "steps", draws=500)
        assert result.low is not None
        assert result.high is not None
        inside += result.low <= truth <= result.high
    assert 0.92 <= inside / rounds <= 1.0


def test_pairs_are_drawn_together() -> None:
    # Each seed of the method is twice as fast as the same seed of the baseline, whatever its pace.
    paces = (2.0, 4.0, 6.0, 8.0)
    rise = [np.minimum(STEPS / (2 * p), 1) for p in paces]
    twice = [np.minimum(STEPS / p, 1) for p in paces]
    full, paired, others = (
        Arm(m, (), tuple(run_of(v, seed=s + first, method=m) for s, v in enumerate(curves)))
        for m, curves, first in (("full", rise, 0), ("fast", twice, 0), ("fast", twice, 10))
    )
    target = target_of(full, 0.4)
    together, apart = (acceleration(full, arm, target, "steps") for arm in (paired, others))
    assert together.ratio == apart.ratio == pytest.approx(2.0)
    assert (together.low, together.high) == pytest.approx((2.0, 2.0))
    assert apart.low is not None
    assert apart.low < 1.5


def test_draws_that_never_arrive_leave_an_end_open() -> None:
    full = Arm("full", (), tuple(run_of([0.0, 0.5, 0.8, 0.8], seed=s) for s in range(3)))
    one = Arm("one", (), tuple(run_of(v, seed=s) for s, v in enumerate(
        ([0.0, 0.8, 0.8, 0.8], [0.0, 0.8, 0.8, 0.8], [0.0, 0.5, 0.5, 0.5])
    )))  # fmt: skip
    at_seven = target_of(full, 0.7)
    found = acceleration(full, one, at_seven, "steps")
    assert found.bound == "exact"  # the mean gets there; not when two of three draws are the last
    assert found.low == 0.0
    assert found.high is not None
    assert np.isfinite(found.high)
    turned = acceleration(one, full, at_seven, "steps")
    assert turned.high == np.inf
    assert turned.low is not None
    assert turned.low > 0.0


def test_the_strict_target_is_reached_by_the_baseline_itself_at_the_end() -> None:
    generator = np.random.default_rng(0)
    values = np.sort(generator.random((3, 7)), axis=1)
    full = Arm("full", (), tuple(run_of(v, seed=s) for s, v in enumerate(values)))
    assert reach(full, target_of(full, "final"), "steps") == Reached(60.0, 60.0)
    assert acceleration(full, full, target_of(full, "final"), "steps").ratio == 1.0


def test_a_metric_of_its_own(tmp_path: Path) -> None:
    write_run(tmp_path / "full", [0.2, 0.8], untargeted=[0.0, 0.5], method="full")
    (arm,) = group(find_runs([tmp_path]))
    target = target_of(arm, 0.25, "eval/untargeted")
    assert reach(arm, target, "steps").value == pytest.approx(5.0)


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
