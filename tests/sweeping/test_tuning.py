"""The search: what is searched over, what a trial is told, and going on after a kill."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from cropi.overrides import parse
from cropi.runtime.errors import ConfigError, CropiError
from cropi.settings import Jobs
from cropi.sweeping.jobs import FrozenJob
from cropi.sweeping.space import as_overrides, search_space
from cropi.sweeping.tuning import Search, Tuner

STUB = (sys.executable, str(Path(__file__).parent / "stub_trial.py"))


def space_of(*arguments: str) -> tuple[dict[str, Any], list[str]]:
    parsed, problems = parse(arguments)
    assert problems == []
    return search_space(parsed)


def test_the_space_is_written_as_hydra_writes_sweeps() -> None:
    space, fixed = space_of(
        "selector.alpha=tag(log,interval(0.01,0.5))", "selector.fusion=choice(rrf,mean)",
        "offline.samples=int(interval(2,16))", "phases=range(1,4)", "seed=3",
        "engine=fast,reference",
    )  # fmt: skip
    assert fixed == ["seed=3"]
    assert space["selector.alpha"] == optuna.distributions.FloatDistribution(0.01, 0.5, log=True)
    assert space["offline.samples"] == optuna.distributions.IntDistribution(2, 16)
    assert space["selector.fusion"].choices == ("rrf", "mean")
    assert space["engine"].choices == ("fast", "reference")
    assert space["phases"].choices == ("1", "2", "3")


def test_mistakes_in_the_space() -> None:
    with pytest.raises(ConfigError, match="nothing to tune"):
        space_of("seed=1")
    with pytest.raises(ConfigError, match=r"interval\(0.5,0.1\)"):
        space_of("selector.alpha=interval(0.5,0.1)")


def test_values_become_the_same_overrides_every_time() -> None:
    assert as_overrides({"a": 0.1, "b": 3, "c": "rrf"}) == ["a=0.1", "b=3", "c=rrf"]


def tuner(folder: Path, trials: int, told: list[str] | None = None, **changes: Any) -> Tuner:
    options = {"metric": "eval/targeted", "direction": "maximize", "low": -3.0,
    "high": 2.7, **changes}
    space: dict[str, Any] = {
        "x": optuna.distributions.FloatDistribution(options["low"], options["high"])
    }
    search = Search(
        "s", folder / "tune" / "s", space, options["metric"], options["direction"], trials, 0
    )

    def freeze(overrides: Sequence[str]) -> FrozenJob:
        return FrozenJob(tuple(overrides), {"values": list(overrides)}, {},
                         str(folder / overrides[0].replace("=", "-")))

    lines = [] if told is None else told
    jobs = Jobs(slots=options.get("slots", 1), on_error="continue", retries=0)
    return Tuner(search, jobs, freeze, lines.append, STUB)


def test_trials_find_the_top_and_go_on_where_they_stopped(tmp_path: Path) -> None:
    first = tuner(tmp_path, 6, slots=2)
    assert first.run() == 0
    assert len(first.study.trials) == 6
    again = tuner(tmp_path, 12)
    assert again.run() == 0
    assert len(again.study.trials) == 12
    assert tuner(tmp_path, 12).run() == 0  # nothing is missing
    best = again.study.best_trial
    assert best.value == pytest.approx(-((best.params["x"] - 1) ** 2))
    assert abs(best.params["x"] - 1) < 1.0
    assert Path(best.user_attrs["run"]).is_dir()


def test_a_trial_that_was_cut_off_is_asked_again(tmp_path: Path) -> None:
    cut = tuner(tmp_path, 1)
    trial = cut.study.ask(cut._search.space)  # and the process is killed
    after = tuner(tmp_path, 1)
    after.run()
    states = [t.state.name for t in after.study.trials]
    assert states == ["FAIL", "COMPLETE"]
    assert after.study.trials[1].params == trial.params


def test_failures_do_not_count_and_too_many_end_the_search(tmp_path: Path) -> None:
    told: list[str] = []
    failing = tuner(tmp_path, 3, told, low=2.9, high=3.0)  # the stub fails above 2.8
    with pytest.raises(CropiError, match="3 trials failed, the last with: exit code 4"):
        failing.run()
    assert sum("failed: exit code 4" in line for line in told) == 3
    record = json.loads(next(tmp_path.glob("x-*/failure.json")).read_text())
    assert record["exit"] == 4


def test_another_space_under_the_same_name_is_refused(tmp_path: Path) -> None:
    tuner(tmp_path, 1).run()
    with pytest.raises(ConfigError, match="another space"):
        tuner(tmp_path, 1, low=-1.0)
    with pytest.raises(ConfigError, match="another metric"):
        tuner(tmp_path, 1, metric="eval/all")


def test_an_unknown_metric_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(CropiError, match=r"no such metric, but eval/all, eval/targeted"):
        tuner(tmp_path, 1, metric="eval/best").run()


def test_the_command_checks_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cropi.cli import main

    assert main(["tune", f"runs={tmp_path}", "selector.alpha=interval(3,5)"]) == 2
    assert "selector.alpha=3" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
