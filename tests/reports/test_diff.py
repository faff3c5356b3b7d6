"""``cropi diff``: what two runs differ in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_folders import write_run

from cropi.cli import main
from cropi.reports.diff import lines

ENVIRONMENT = {
    "python": "3.11.7", "packages": {"torch": "2.12", "trl": "1.16"}, "commit": "abc",
    "devices": [], "command": "cropi seed=0",
}  # fmt: skip


def told(folder: Path, **more: Any) -> Path:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **more}))
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    one = write_run(
        tmp_path / "a", [0.2, 0.5], phases=2, trainer={"_target_": "x.T", "rate": 0.1},
    )  # fmt: skip
    other = write_run(
        tmp_path / "b", [0.2, 0.6], seed=1, phases=2, method="full",
        trainer={"_target_": "x.T", "rate": 0.2, "text": None},
    )  # fmt: skip
    now = {**ENVIRONMENT, "packages": {"torch": "2.13", "peft": "1"}, "command": "cropi seed=1"}
    told(one, environment=ENVIRONMENT, data={"train": {"ids": "11"}}, model="ff")
    told(other, environment=now, data={"train": {"ids": "22"}}, model="ff")
    return one, other


def test_only_what_differs_is_shown(pair: tuple[Path, Path]) -> None:
    one, other = pair
    assert lines(one, other) == [
        f"1: {one}  (finished, 10 steps)", f"2: {other}  (finished, 10 steps)",
        "",
        "configuration",
        "  seed: 0 -> 1",
        "  selector",
        "    selector: cropi -> full",
        "    selector._target_: x.cropi -> x.full",
        "  trainer",
        "    trainer.rate: 0.1 -> 0.2",
        "    trainer.text: (absent) -> null",
        "",
        "environment",
        "  torch: 2.12 -> 2.13",
        "  trl: 1.16 -> (absent)",
        "  peft: (absent) -> 1",
        "",
        "data and model, by fingerprint",
        "  data.train.ids: 11 -> 22",
        "",
        "metrics",
        "                          1           2       2 - 1",
        "  eval/targeted      0.5000      0.6000     +0.1000",
    ]


def test_all_shows_what_is_equal_too(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", *map(str, pair), "--all"]) == 0
    shown = capsys.readouterr().out.splitlines()
    for line in ("  phases: 2", "  python: 3.11.7", "  model: ff", "    selector.alpha: 0.1"):
        assert line in shown


def test_keys_of_another_part_are_counted(tmp_path: Path) -> None:
    parts = {"_target_": "x.A", "rate": 1}, {"_target_": "x.B", "k": 1, "m": [2], "rate": 2}
    one, other = (
        write_run(tmp_path / str(n), [0.5], projector=part) for n, part in enumerate(parts)
    )
    expected = ["    projector._target_: x.A -> x.B", "    projector.rate: 1 -> 2",
                "    (2 keys that only one of them has: --all)"]
    shown = lines(one, other)
    assert [line for line in shown if line in expected] == expected
    assert not any("projector.k" in line for line in shown)
    assert "    projector.m: (absent) -> [2]" in lines(one, other, everything=True)


def test_runs_that_are_not_finished(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", [0.2, 0.3], finished=False)
    other = tmp_path / "b"
    other.mkdir()
    (other / "failure.json").write_text(json.dumps({
        "error": "by zero", "config": {"seed": 0}, "choices": {"selector": "full"}
    }))
    shown = lines(one, other)
    assert shown[:2] == [f"1: {one}  (unfinished, 10 steps)", f"2: {other}  (failed: by zero)"]
    assert "  not known of either" in shown  # no environment in these manifests
    assert "  eval/targeted      0.3000           -           -" in shown


def test_what_cannot_be_compared_is_said(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one, _ = map(str, pair)
    assert main(["diff", one, f"{tmp_path}/../{tmp_path.name}/a"]) == 1
    assert "are the same run: give two that differ" in capsys.readouterr().err
    assert main(["diff", one, str(tmp_path / "c")]) == 1
    assert "is not the folder of a run" in capsys.readouterr().err
