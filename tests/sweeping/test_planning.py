"""What a sweep is going to do, from the command line and from what lies on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cropi.composition import Composer
from cropi.runtime.errors import ConfigError
from cropi.runtime.locks import exclusive, is_held
from cropi.sweeping.jobs import FrozenJob, config_of, freeze, sweep_of
from cropi.sweeping.planning import differences, plan, state_of

PRESETS = sorted((Path(__file__).parents[2] / "sweeps" / "sweep").glob("*.yaml"))


def frozen(runs: Path, *arguments: str, multirun: bool = True) -> list[FrozenJob]:
    given = ["debug=tiny", f"runs={runs}", *arguments]
    return [freeze(job) for job in Composer().jobs(given, multirun=multirun)]


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> list[FrozenJob]:
    """Two selectors by two seeds."""
    return frozen(tmp_path_factory.mktemp("any"), "selector=full,random", "seed=0,1", "phases=2")


@pytest.fixture
def four(composed: list[FrozenJob], tmp_path: Path) -> list[FrozenJob]:
    """The same jobs with their runs below the test's own folder."""
    return [replace(job, folder=str(tmp_path / job.name)) for job in composed]


def finish(job: FrozenJob, seconds: float = 10.0, steps: int = 6) -> None:
    folder = Path(job.folder)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"choices": dict(job.choices)}))
    cost = {
        "training": {"seconds": seconds, "generated_tokens": 100, "backward_tokens": 50},
        "selection": {"seconds": 2 * seconds},
        "evaluation": {"seconds": 1e6, "generated_tokens": 1e6},
    }
    (folder / "result.json").write_text(json.dumps({"cost": cost, "steps": steps}))


def test_jobs_are_frozen_whole(tmp_path: Path) -> None:
    (job,) = frozen(tmp_path, "selector=full", "seed=3", multirun=False)
    text = json.dumps(job.config)
    assert "${" not in text
    assert job.config["seed"] == 3
    assert "hydra" not in job.config
    sweep = sweep_of([job], None, tmp_path)
    sweep.write(["cropi", "seed=3"])
    assert FrozenJob.read(sweep.path(0)) == job
    assert config_of(job).trainer.prompts_per_step == 4


def test_the_frozen_configuration_is_the_same_science(tmp_path: Path) -> None:
    from cropi.configuration import science_hash

    (job,) = frozen(tmp_path, "projector.keep=0.2", multirun=False)
    assert job.folder.endswith(science_hash(config_of(job)))


def test_a_sweep_is_its_jobs_each_once(four: list[FrozenJob], tmp_path: Path) -> None:
    assert len(four) == 4
    sweep = sweep_of([*four, four[0]], "methods", tmp_path)
    assert len(sweep.jobs) == 4
    assert sweep.name.startswith("methods-")
    assert sweep_of(four, "methods", tmp_path).folder == sweep.folder
    assert sweep_of(four[:3], "methods", tmp_path).folder != sweep.folder


def test_only_what_differs_is_named(four: list[FrozenJob]) -> None:
    assert differences(four) == [
        {"selector": s, "seed": str(n)} for s in ("full", "random") for n in (0, 1)
    ]


def test_states_are_read_from_the_folders(four: list[FrozenJob], tmp_path: Path) -> None:
    jobs = [*four, replace(four[0], folder=str(tmp_path / "another"))]
    finish(jobs[0])
    for number, name in ((1, "manifest.json"), (2, "failure.json")):
        Path(jobs[number].folder).mkdir()
        (Path(jobs[number].folder) / name).write_text("{}")
    with exclusive(Path(jobs[3].folder)):
        states = [state_of(job) for job in jobs]
        assert is_held(Path(jobs[3].folder))
    assert states == ["finished", "begun", "failed", "running", "new"]
    assert not Path(jobs[4].folder).exists()  # looking leaves nothing behind


def test_estimates_come_from_finished_runs_of_the_same_kind(
    four: list[FrozenJob], tmp_path: Path
) -> None:
    finish(four[0], seconds=10.0, steps=3)  # half the steps that the others do
    full, random = (plan(sweep_of(four, None, tmp_path))[n].estimate for n in (1, 2))
    assert (full.seconds, full.tokens, full.runs) == (60.0, 300.0, 1)  # without evaluation
    assert random == full  # nothing better is known than the same benchmark and model
    finish(four[2], seconds=1.0)
    planned = plan(sweep_of(four, None, tmp_path))
    assert [p.estimate.seconds for p in planned] == [60.0, 60.0, 3.0, 3.0]


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_composes_to_several_valid_jobs(path: Path, tmp_path: Path) -> None:
    """Of one seed; the seeds multiply them."""
    jobs = frozen(tmp_path, f"sweep={path.stem}", "seed=0", multirun=False)
    params = yaml.safe_load(path.read_text())["hydra"]["sweeper"]["params"]
    assert params.pop("seed") == "0,1,2"
    assert len(jobs) >= 2
    assert len({job.folder for job in jobs}) == len(jobs)
    assert all(set(differs) <= set(params) for differs in differences(jobs))
    assert all(job.choices["sweep"] == path.stem for job in jobs)


def test_a_preset_s_seeds_multiply_its_jobs(tmp_path: Path) -> None:
    jobs = frozen(tmp_path, "sweep=ablation_engines", multirun=False)
    assert [(job.choices["engine"], job.config["seed"]) for job in jobs] == [
        (engine, seed) for engine in ("reference", "fast") for seed in (0, 1, 2)
    ]


def test_presets_can_be_narrowed_from_the_command_line(tmp_path: Path) -> None:
    jobs = frozen(tmp_path, "sweep=alpha", "selector.alpha=0.1,0.2", "seed=7", multirun=False)
    assert [(j.config["selector"]["alpha"], j.config["seed"]) for j in jobs] == [(0.1, 7), (0.2, 7)]


def test_phases_keep_the_number_of_steps(tmp_path: Path) -> None:
    jobs = frozen(tmp_path, "sweep=ablation_phases", "seed=0", multirun=False)
    assert [j.config["phases"] * j.config["steps_per_phase"] for j in jobs] == [160] * 4
    with pytest.raises(ConfigError, match="cannot be divided"):
        frozen(tmp_path, "sweep=ablation_phases", "phases=3", multirun=False)


def test_every_mistake_of_every_job_is_told_before_any_runs(tmp_path: Path) -> None:
    from cropi.cli import main

    assert main(["-m", f"runs={tmp_path}", "selector.alpha=0.1,7", "phases=0"]) == 2
    assert list(tmp_path.iterdir()) == []
