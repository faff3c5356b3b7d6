"""``cropi data check``, and what a run keeps of the same report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cropi.cli import main
from cropi.composition import compose
from cropi.run import run_experiment
from cropi.runtime.errors import CropiError

LONG = "a train leaves the old station at noon and travels north for some hours"
# The faults in the training file, each of which the report must name.
TRAIN = [
    ("1 + 1?", "02"), ("2 + 1?", "3.0"), ("3 + 1?", "4"), ("4 + 1?", "5"),
    ("1  + 1?", "2"),  # duplicate, once its gold is normalised
    ("5 + 1?", "6"), ("5 + 1 ?", "7"),  # conflict
    ("", "1"), ("6 + 1?", None), ("7 + 1?", "banana"),  # empty, empty, no number
    ("9 + 9?", "18"),  # stands in the test set
    (f"{LONG}: how far?", "70"),
]  # fmt: skip
TEST = [("9 + 9?", "18"), ("8 + 9?", "17"), (f"{LONG}; how fast?", "50"), ("7 + 9?", "16")]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    for name, rows in (("train", TRAIN), ("test", TEST)):
        Path(f"{name}.jsonl").write_text(
            "".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in rows)
        )
    return ["benchmark=local", "benchmark.train_file=train.jsonl", "verifier=numeric",
            "benchmark.test_file=test.jsonl", "benchmark.validation_share=0.3"]  # fmt: skip


def checked(*arguments: str, name: str = "local") -> tuple[int, dict[str, Any]]:
    code = main(["data", "check", *arguments])
    return code, json.loads(Path(f"data-check-{name}.json").read_text())


def test_every_fault_is_named(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, report = checked(*files)
    assert code == 0
    assert report["rows"]["train/local"] == {
        "read": 12, "kept": 6, "empty question": 1, "empty gold": 1, "duplicate": 1,
        "conflicting golds": 2, "also in test/local": 1,
    }
    assert report["golds"]["train/local"] == {"normalised": 2}
    assert report["sets"]["train"]["unusable gold: not a number"] == 1
    assert report["sets"]["train"]["kept"] == 5
    assert report["overlaps"]["train ∩ test/local"] == 1
    assert report["near"]["train ∩ test/local"]["rows"] == 1
    assert len(report["faults"]) == 5
    assert report["label_noise"] is None
    shown = capsys.readouterr().out
    for piece in (
        "benchmark local, verifier numeric, seed 0", "2 normalised", "1 unusable gold: not a num",
        "overlap train ∩ test/local: 1 question", f"both: {' '.join(LONG.split()[:13])}",
        "compared only as a whole: 5 of train", "rows that cannot be trusted: 5",
        "'7 + 1?' has ['banana']", "5 + 1?' has 6 and 7",
    ):
        assert piece in shown


def test_the_same_data_the_same_bytes(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = []
    for machine in ("one", "two"):
        shutil.copytree(tmp_path, tmp_path / machine / "data", ignore=lambda *_: ["one", "two"])
        monkeypatch.chdir(tmp_path / machine)
        there = [f.replace("_file=", "_file=data/") for f in files]
        main(["data", "check", *there, "--json", "report.json"])
        reports.append(Path("report.json").read_bytes())
        assert not Path("data-check-local.json").exists()
    assert reports[0] == reports[1]


def test_label_noise_is_reported(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _, report = checked(*files, "label_noise=0.4")
    assert (report["label_noise"]["prompts"], report["label_noise"]["of"]) == (2, 5)
    assert "label noise: 2 of 5 training golds replaced (share 0.4" in capsys.readouterr().out


def test_an_empty_set_is_an_error_for_people(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("train.jsonl").write_text('{"question": "9 + 9?", "answer": "18"}\n')
    assert main(["data", "check", *files]) == 1
    assert "error: nothing is left of train" in capsys.readouterr().err


def test_mistakes_are_told_together(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", *files, "label_noise=1", "benchmark.overlap=no", "seed=-1"]) == 2
    shown = capsys.readouterr().err
    for key in ("label_noise=1", "benchmark.overlap='no'", "seed=-1"):
        assert f"- {key}" in shown


def test_the_built_in_benchmark_is_clean_and_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from cropi.cli import main; main(['data', 'check', 'benchmark.pool_size=60'])"
        "; assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "data-check-arithmetic.json").read_text())
    assert report["faults"] == []
    assert report["rows"]["train/arithmetic"] == {"read": 60, "kept": 60}


def test_a_run_keeps_the_report_and_its_hash(tmp_path: Path) -> None:
    def run(*overrides: str) -> dict[str, Any]:
        config = compose(["debug=tiny", f"runs={tmp_path}", f"cache={tmp_path}/cache",
                          "selector=random", "steps_per_phase=1", *overrides])  # fmt: skip
        folder = run_experiment(config).folder
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        return {**manifest, "folder": folder}

    clean, noisy = run(), run("label_noise=0.25")
    assert clean["label_noise"] is None
    assert clean["data_report"] != noisy["data_report"]
    record = noisy["label_noise"]
    assert (record["share"], record["seed"], record["prompts"]) == (0.25, 0, 15)
    report = json.loads((noisy["folder"] / "data.json").read_text())
    assert report["label_noise"] == record
    assert "label noise: 15 of 60" in (noisy["folder"] / "data.txt").read_text()
    for name in clean["data"]:
        assert (clean["data"][name] == noisy["data"][name]) == (name != "train")

    # A run that goes on must find the data that it started with.
    path = clean["folder"] / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "data_report": "0" * 16}))
    (clean["folder"] / "result.json").unlink()
    before = {**report, "label_noise": None, "short": {}}
    (clean["folder"] / "data.json").write_text(json.dumps(before))
    with pytest.raises(CropiError, match=r"the data report of this run changed .*json; short\)"):
        run()
    path.write_text(json.dumps({**manifest, "data": {**manifest["data"], "train": {}}}))
    with pytest.raises(CropiError, match=r"the data of this run changed .*; train\)"):
        run()
