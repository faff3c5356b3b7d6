"""A run once more, from what its manifest froze."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cropi.cli import main
from cropi.rerun import TIMES, differences, different_metrics
from cropi.tracking.metrics_file import FILE_NAME, MetricsFile, read_metrics

TINY = [
    "debug=tiny", "selector=learnability", "phases=1", "steps_per_phase=2", "model.steps=30",
    "model.examples=300", "evaluation.every=1",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rerun")


@pytest.fixture(scope="module")
def finished(place: Path) -> Path:
    """A run that used a selector of the user's own, with a default that has changed since."""
    option = place / "conf" / "selector" / "mine.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("# Mine.\n_target_: baselines.random.Random\nalpha: 0.3\n")
    runs, conf = place / "runs", ["--config-dir", str(place / "conf")]
    given = [*TINY[:1], "selector=mine", *TINY[2:], f"runs={runs}", f"cache={place / 'cache'}"]
    assert main([*conf, *given]) == 0
    option.unlink()
    (manifest,) = runs.glob("*/manifest.json")
    return manifest.parent


def copied(run: Path, to: Path, **changes: Any) -> Path:
    """The run with other entries in its manifest."""
    shutil.copytree(run, to)
    manifest = json.loads((to / "manifest.json").read_text())
    (to / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    return to


def again(run: Path, place: Path, *more: str) -> int:
    return main(["rerun", str(run), f"cache={place / 'cache'}", *more])


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_rerun_is_the_same_to_the_bit_though_its_preset_is_gone(
    finished: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again(finished, place) == 0
    out = capsys.readouterr().out
    (made,) = (tmp_path / "reruns").glob("*/result.json")
    # Its own name, so that no tracker takes the two for one.
    assert made.parent.name == "arithmetic-tiny-mine-seed0-rerun-" + finished.name[-8:]
    assert out.splitlines() == [
        f"running again in {made.parent}", str(made.parent),
        "every metric is the same to the bit, times aside",
    ]
    frozen = [json.loads((f / "manifest.json").read_text()) for f in (finished, made.parent)]
    assert frozen[0]["config"] == frozen[1]["config"]
    assert frozen[0]["config"]["selector"]["alpha"] == 0.3
    assert (made.parent / "log.txt").read_text().count("evaluating") == 3
    # Asked for once more: it is there.
    assert again(finished, place) == 0
    assert capsys.readouterr().out.startswith("was run again before; for once more, move")


def test_what_differs_is_told_first_and_what_came_of_it_last(
    finished: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads((finished / "manifest.json").read_text())
    config = {**manifest["config"], "trainer": {**manifest["config"]["trainer"]}}
    config["trainer"]["learning_rate"] = 0.002
    del config["label_noise"]  # a key that cropi had not then
    environment = json.loads(json.dumps(manifest["environment"]))
    environment["packages"] |= {"torch": "1.0", "peft": None}
    environment["devices"] = ["NVIDIA H100"]
    old = copied(
        finished, tmp_path / finished.name, config=config, environment=environment,
        data={**manifest["data"], "train": {"prompts": 60, "ids": "other"}}, model="other",
    )  # fmt: skip
    assert again(old, place, "--runs", str(tmp_path / "new runs")) == 1
    lines = capsys.readouterr().out.splitlines()
    now = manifest["environment"]["packages"]["torch"]
    for line in (
        "differs now: label_noise is new, and takes its default 0.0",
        f"differs now: torch 1.0 -> {now}",
        "differs now: devices ['NVIDIA H100'] -> []",
        f"differs now: data train ids other -> {manifest['data']['train']['ids']}",
        f"differs now: model other -> {manifest['model']}",
    ):
        assert lines.index(line) < next(i for i, x in enumerate(lines) if "running again" in x)
    assert "metrics are not the same; the first, at step " in lines[-2]
    assert lines[-1].startswith(f"see also: cropi diff {old} ")
    (made,) = (tmp_path / "new runs").glob("*/manifest.json")
    assert json.loads(made.read_text())["config"]["trainer"]["learning_rate"] == 0.002


def test_a_rerun_is_no_other_experiment_and_overwrites_nothing(
    finished: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again(finished, place, "seed=1", "+selector.alpha=0.2", "dry_run=true") == 2
    err = capsys.readouterr().err
    assert "has 3 mistakes" in err
    assert "seed=1: would make it another experiment; a rerun takes only runs, name, " in err
    before = (finished / FILE_NAME).read_bytes()
    name = finished.name.rpartition("-")[0]
    assert again(finished, place, f"runs={finished.parent}", f"name={name}") == 1
    assert "would be overwritten by its own rerun; set runs=FOLDER" in capsys.readouterr().err
    assert (finished / FILE_NAME).read_bytes() == before


def test_a_manifest_that_says_too_little(
    finished: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = copied(finished, tmp_path / "old-0123abcd", config=None)
    assert again(old, place) == 1
    assert "its manifest says too little to run it again" in capsys.readouterr().err


def test_environments_are_compared_by_what_matters() -> None:
    was = {
        "environment": {
            "python": "3.11.1", "packages": {"torch": "1", "trl": "2"}, "cpu_cores": 2,
            "command": "cropi",
        },
        "model": "a", "data": {"train": "x", "test/A": "y"},
    }  # fmt: skip
    now = {
        "environment": {
            "python": "3.11.2", "packages": {"torch": "1", "peft": "3"}, "cpu_cores": 64,
            "command": "cropi rerun",
        },
        "model": "a", "data": {"train": "x", "test/A": "z"},
    }  # fmt: skip
    assert differences(was, now) == [
        "python 3.11.1 -> 3.11.2", "peft absent -> 3", "trl 2 -> absent", "data test/A y -> z",
    ]


def metrics(path: Path, *rows: tuple[int, dict[str, float]]) -> Path:
    with MetricsFile(path) as file:
        for step, values in rows:
            file.append(step, 0, "train", values)
    return path


def test_metrics_are_compared_without_times(tmp_path: Path) -> None:
    one, same, other = (
        metrics(tmp_path / name, (3, {"loss": loss, "cost/training/seconds": time}))
        for name, loss, time in (("a", 0.5, 1.0), ("b", 0.5, 9.0), ("c", 0.6, 1.0))
    )
    assert different_metrics(one, same) == []
    assert different_metrics(one, other) == [(3, "train", "loss", 0.5, 0.6)]


def test_of_an_unfinished_run_only_what_it_got_to_counts(tmp_path: Path) -> None:
    part = metrics(tmp_path / "part", (1, {"loss": 1.0}), (2, {"loss": 2.0}))
    whole = metrics(
        tmp_path / "whole", (1, {"loss": 1.0, "new": 0.0}), (2, {"loss": 2.0, "x": 1.0}),
        (3, {"loss": 3.0}),
    )  # fmt: skip
    assert different_metrics(part, whole, whole=False) == [(1, "train", "new", None, 0.0)]
    assert len(different_metrics(part, whole)) == 3


def test_times_are_told_from_timeouts(finished: Path) -> None:
    names = {name for record in read_metrics(finished / FILE_NAME) for name in record.metrics}
    times = {name for name in names if TIMES.search(name)}
    assert {"cost/training/seconds", "step_time", "time/rollout"} <= times
    assert "verdict/timeout" in names - times
    assert not [name for name in names - times if "seconds" in name]
