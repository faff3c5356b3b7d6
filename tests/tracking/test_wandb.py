"""Against the real W&B library, offline, reading its record files back."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from wandb_files import read_run, records

from cropi.contracts import RunIdentity
from cropi.tracking.wandb import Wandb, has_key


@pytest.fixture(autouse=True)
def _no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield
    wandb.teardown()


def identity(folder: Path, name: str, **config: object) -> RunIdentity:
    folder.mkdir(exist_ok=True)
    return RunIdentity(name, f"run {name}", folder, config)


def test_two_jobs_in_one_process_are_two_runs_with_their_own_configs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:  # hydra_ux 3, 4, 7, 8
    for seed in (1, 2):
        tracker = Wandb()
        tracker.start(identity(tmp_path / f"r{seed}", f"job-{seed}", **{"selector.alpha": seed}))
        for step in (1, 2):
            tracker.log(step, {"loss": seed / step})
        if seed == 2:  # the first is left open, as a job that failed would leave it
            tracker.finish({"best": 1.0})
    with caplog.at_level(logging.INFO):
        logging.getLogger("cropi").info("still here")
    assert "still here" in caplog.text
    wandb.teardown()  # its service may still be writing when ``finish`` returns
    for seed in (1, 2):
        found = read_run(tmp_path / f"r{seed}")
        assert found.ids == {f"job-{seed}"}
        assert found.config["selector.alpha"] == seed
        assert found.rows == [{"step": 1, "loss": seed}, {"step": 2, "loss": seed / 2}]
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_a_resumed_run_keeps_its_id_and_its_own_step(tmp_path: Path) -> None:
    for step in (1, 2):
        tracker = Wandb()
        tracker.start(identity(tmp_path / "r", "one", seed=0))
        tracker.log(step, {"loss": 1.0})
        tracker.finish({})
    wandb.teardown()
    found = read_run(tmp_path / "r")
    assert found.ids == {"one"}
    assert [row["step"] for row in found.rows] == [1, 2]


def test_a_record_of_an_earlier_step_is_kept(tmp_path: Path) -> None:  # pitfall 32
    tracker = Wandb()
    tracker.start(identity(tmp_path / "r", "late"))
    tracker.log(5, {"loss": 1.0})
    tracker.log(4, {"eval/all": 0.5})
    tracker.finish({})
    wandb.teardown()
    assert read_run(tmp_path / "r").rows == [
        {"step": 5, "loss": 1.0}, {"step": 4, "eval/all": 0.5}
    ]


def test_metrics_use_our_step_as_their_axis(tmp_path: Path) -> None:
    tracker = Wandb()
    tracker.start(identity(tmp_path / "r", "axis"))
    tracker.log(1, {"loss": 1.0})
    tracker.finish({})
    wandb.teardown()
    (file,) = (tmp_path / "r").glob("wandb/offline-run-*/*.wandb")
    metrics = [r.metric for r in records(file) if r.WhichOneof("record_type") == "metric"]
    assert any(m.glob_name == "*" and m.step_metric == "step" for m in metrics)


def netrc_at(path: Path, host: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"machine {host}\n  login user\n  password {'k' * 40}\n")
    path.chmod(0o600)


@pytest.mark.parametrize("host", ["api.wandb.ai", "api.forge.coreweave.com"])
def test_a_key_in_netrc_is_found(tmp_path: Path, host: str) -> None:
    assert not has_key()
    netrc_at(tmp_path / "home" / ".netrc", host)
    assert has_key()


def test_a_key_for_another_server_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc_at(tmp_path / "elsewhere", "example.org")
    monkeypatch.setenv("NETRC", str(tmp_path / "elsewhere"))
    assert not has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://example.org")
    assert has_key()


def test_a_broken_netrc_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".netrc").write_text("machine\n")
    assert not has_key()


@pytest.mark.parametrize(
    ("mode", "env", "key", "expected"),
    [
        ("auto", None, False, "offline"),
        ("auto", None, True, "online"),
        ("auto", "offline", True, "offline"),
        ("auto", "disabled", True, "disabled"),
        ("auto", "online", False, "offline"),
        ("online", None, False, "offline"),
        ("online", "offline", True, "online"),
        ("offline", None, True, "offline"),
        ("disabled", None, True, "disabled"),
    ],
)
def test_the_mode_is_settled_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, mode: str, env: str | None, key: bool, expected: str
) -> None:
    if env:
        monkeypatch.setenv("WANDB_MODE", env)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    assert Wandb(mode=mode).mode_now() == expected  # type: ignore[arg-type]


def test_disabled_writes_nothing(tmp_path: Path) -> None:
    tracker = Wandb(mode="disabled")
    tracker.start(identity(tmp_path / "r", "off"))
    tracker.log(1, {"loss": 1.0})
    tracker.finish({})
    assert list((tmp_path / "r").rglob("*.wandb")) == []


def in_a_fresh_process(tmp_path: Path, mode: str, **env: str) -> tuple[str, float]:
    """Run a whole tracker life with a silent pipe as its standard input."""
    script = textwrap.dedent(f"""
        from pathlib import Path
        from cropi.contracts import RunIdentity
        from cropi.tracking.wandb import Wandb
        tracker = Wandb(mode="{mode}", timeout=2)
        tracker.start(RunIdentity("piped", "piped", Path({str(tmp_path)!r}), {{}}))
        tracker.log(1, {{"loss": 1.0}})
        tracker.finish({{}})
        print("the run went on")
    """)
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={**os.environ, **env},
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()  # the pipe stays open: a prompt would wait for ever
        process.wait(timeout=60)
    return output, time.monotonic() - began


def test_no_key_means_no_question(tmp_path: Path) -> None:
    output, _ = in_a_fresh_process(tmp_path, "online")
    assert output.splitlines()[-1] == "the run went on"
    assert "kept offline" in output
    assert len(list(tmp_path.rglob("*.wandb"))) == 1


def test_a_server_that_cannot_be_reached_is_given_up(tmp_path: Path) -> None:  # hydra_ux 6
    output, seconds = in_a_fresh_process(
        tmp_path, "auto", WANDB_API_KEY="k" * 40, WANDB_BASE_URL="http://127.0.0.1:9"
    )
    assert output.splitlines()[-1] == "the run went on"
    assert output.count("could not start") == 1
    assert seconds < 45
