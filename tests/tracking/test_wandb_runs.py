"""What W&B is told of whole runs: groups, configs, every row, and how they ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args
from wandb_files import Read, read_run

from cropi import catalogue
from cropi.composition import Composer
from cropi.configuration import assemble
from cropi.contracts import RunIdentity
from cropi.tracking.metrics_file import read_metrics
from cropi.tracking.wandb import group_of, id_of, tags_of

SWEEPS = Path(__file__).resolve().parents[2] / "sweeps"
CONFIG = {
    "choices.benchmark": "gsm8k", "choices.model": "tiny", "choices.selector": "cropi",
    "choices.trainer": "grpo", "choices.study": None, "seed": 3, "selector.alpha": 0.1, "phases": 2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_jobs_of_a_sweep_are_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROPI_SWEEP", raising=False)
    assert group_of(CONFIG) == "gsm8k-tiny"
    assert group_of({}) is None
    monkeypatch.setenv("CROPI_SWEEP", "alpha-0123abcd")
    assert group_of(CONFIG) == "alpha-0123abcd"
    monkeypatch.setenv("CROPI_SWEEP", "x" * 500)
    assert len(group_of(CONFIG) or "") == 128


def test_tags_name_the_parts_and_what_is_varied() -> None:
    assert tags_of(CONFIG) == [
        "gsm8k", "tiny", "cropi", "grpo", "seed=3", "alpha=0.1", "phases=2"
    ]
    assert tags_of({}) == []
    assert max(map(len, tags_of({**CONFIG, "choices.model": "m" * 99}))) == 64


def test_an_agent_of_wandb_sweeps_gives_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunIdentity("own-0123abcd", "own", Path(), {})
    monkeypatch.setenv("WANDB_RUN_ID", "left-over")
    assert id_of(run) == "own-0123abcd"
    monkeypatch.setenv("WANDB_SWEEP_ID", "s1")
    assert id_of(run) == "left-over"


LIFE = textwrap.dedent("""
    import os, signal, sys, time
    from pathlib import Path
    from cropi.contracts import RunIdentity
    from cropi.run import _trackers
    from cropi.tracking.wandb import Wandb

    class Parts:
        trackers = (Wandb(tags=["mine"]),)

    end, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir()
    config = {"choices.selector": "random", "seed": len(end), "lists.0.path": "x"}
    summary = {}
    with _trackers(Parts, RunIdentity(f"r-{end}", f"run {end}", folder, config), summary):
        for step in range(200):
            Parts.trackers[0].log(step, {"loss": step / 7})
        if end == "killed":
            time.sleep(4)  # W&B's own process writes what it has once a second
            os.kill(os.getpid(), signal.SIGKILL)
        if end == "raises":
            raise RuntimeError("no more")
        summary["eval/all"] = 0.25
""")


def test_runs_that_fail_or_are_killed_leave_all_they_logged(tmp_path: Path) -> None:
    ends = ("finishes", "raises", "killed")
    with_group = {**os.environ, "CROPI_SWEEP": "alpha-0123abcd"}
    processes = {
        end: subprocess.Popen([sys.executable, "-c", LIFE, end, str(tmp_path / end)],
                              env=with_group, stderr=subprocess.PIPE)
        for end in ends
    }  # fmt: skip
    codes = {}
    for end, process in processes.items():
        process.communicate(timeout=120)
        codes[end] = process.returncode
    assert codes == {"finishes": 0, "raises": 1, "killed": -signal.SIGKILL}
    found = {end: _when_written(tmp_path / end, 200) for end in ends}
    for end, run in found.items():
        assert run.ids == {f"r-{end}"}
        assert (run.group, run.job_type, run.name) == ("alpha-0123abcd", "random", f"run {end}")
        assert run.tags == ["mine", "random", f"seed={len(end)}"]
        assert {k: run.config[k] for k in ("seed", "lists.0.path")} == {
            "seed": len(end), "lists.0.path": "x"
        }
        assert run.rows == [{"step": step, "loss": step / 7} for step in range(200)]
    assert found["finishes"].summary["eval/all"] == 0.25
    assert (found["finishes"].exit_codes, found["raises"].exit_codes) == ([0], [1])


def _when_written(folder: Path, rows: int) -> Read:
    """W&B's own process may still be writing when ours is gone."""
    deadline = time.monotonic() + 30
    while len((found := read_run(folder)).history) < rows and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def test_every_job_of_a_real_sweep_tells_its_config_and_every_row(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    command = [
        sys.executable, "-m", "cropi", "-m", "debug=tiny", "selector=random,pass_rate", "phases=1",
        "steps_per_phase=2", "tracker=wandb", "model.steps=20", "model.examples=200",
        f"runs={runs}", f"cache={tmp_path / 'cache'}", "jobs.slots=2",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    (sweep,) = (runs / "sweeps").iterdir()
    for method in ("random", "pass_rate"):
        (folder,) = runs.glob(f"arithmetic-tiny-{method}-seed0-*")
        manifest = json.loads((folder / "manifest.json").read_text())
        result = json.loads((folder / "result.json").read_text())
        told = _when_written(folder, len(read_metrics(folder / "metrics.jsonl")))
        assert told.ids == {folder.name}
        assert (told.group, told.job_type, told.name) == (sweep.name, method, folder.name)
        assert {"arithmetic", "tiny", method, "seed=0"} <= set(told.tags)
        # Plain values only, and each the manifest's.
        plain = {k: v for k, v in told.config.items() if not k.startswith("_")}
        assert not [v for v in plain.values() if isinstance(v, dict)]
        for key, value in plain.items():
            node: Any = {**manifest["config"], "choices": manifest["choices"]}
            for name in key.split("."):
                if key.startswith("choices."):  # hydra/launcher@… have dots of their own
                    node = node["choices"][key.removeprefix("choices.")]
                    break
                node = node[int(name)] if isinstance(node, list) else node[name]
            assert value == node, key
        assert plain["choices.selector"] == method
        assert told.rows == [
            {"step": record.step, "phase": record.phase, **record.metrics}
            for record in read_metrics(folder / "metrics.jsonl")
        ]
        assert told.summary["eval/targeted"] == result["metrics"]["eval/targeted"]
        assert told.exit_codes == [0]


def commands_of(sweep: dict[str, Any], environment: dict[str, str]) -> list[list[str]]:
    """What W&B's own agent would type: the ends of every range, and every value."""
    chosen: list[dict[str, Any]] = [{}]
    for name, space in sweep["parameters"].items():
        values = space["values"] if "values" in space else [space["min"], space["max"]]
        chosen = [{**one, name: {"value": value}} for one in chosen for value in values]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        template = create_sweep_command(list(sweep["command"]))
    lines = []
    for one in chosen:
        macros = {"env": ["/usr/bin/env"], **create_sweep_command_args({"args": one})}
        lines.append([
            word for part in template
            for word in (macros[part[2:-1]] if part.startswith("${") else [part])
        ])
    return lines


@pytest.mark.parametrize("name", ["wandb_grid", "wandb_bayes"])
def test_sweep_files_call_the_same_entry_point(name: str) -> None:
    sweep = yaml.safe_load((SWEEPS / f"{name}.yaml").read_text())
    lines = commands_of(sweep, {"WANDB_SWEEP_ID": "s1"})
    assert len(lines) == {"wandb_grid": 12, "wandb_bayes": 6}[name]
    composer = Composer()
    names = set()
    for line in lines:
        assert line[:2] == ["/usr/bin/env", "cropi"]
        (job,) = composer.jobs(line[2:], multirun=False)
        settings, _ = assemble(job.config)
        assert settings.runs.name == "wandb-s1"
        assert job.config.hydra.runtime.choices.tracker == "wandb"
        names.add(str(job.config))
    assert len(names) == len(lines)


@pytest.mark.parametrize("name", ["wandb_grid", "wandb_bayes"])
def test_every_key_of_a_sweep_file_is_explained(name: str) -> None:
    text = (SWEEPS / f"{name}.yaml").read_text()
    assert [key.path for key in catalogue.keys(text) if not key.comment] == []
    lines = text.splitlines()
    items = [i for i, line in enumerate(lines) if line.startswith("  - ")]
    assert all(lines[i - 1].lstrip().startswith("#") for i in items)
