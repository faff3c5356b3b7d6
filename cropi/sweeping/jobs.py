"""Jobs of a sweep, composed and checked once and then frozen: later edits change none of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from cropi.composition import Job
from cropi.configuration import assemble, resolved, science_hash, study_of
from cropi.run import run_name
from cropi.runtime.files import read_json, write_json


@dataclass(frozen=True)
class FrozenJob:
    """One experiment, all interpolations followed: what a process of its own needs to run it."""

    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    choices: Mapping[str, str]
    folder: str  # of the run
    flags: tuple[str, ...] = ()  # of the command line, besides the overrides

    @classmethod
    def read(cls, path: Path) -> FrozenJob:
        values = read_json(path)
        lists = {name: tuple(values[name]) for name in ("overrides", "flags")}
        return cls(**{**values, **lists})

    @property
    def name(self) -> str:
        return Path(self.folder).name


def freeze(job: Job, flags: Sequence[str] = ()) -> FrozenJob:
    """Checks every part of the job. Raises ConfigError with every mistake in it."""
    settings, _ = assemble(job.config)
    if job.config.get("study") is not None:
        study_of(job.config)
    choices = {str(k): str(v) for k, v in job.config.hydra.runtime.choices.items() if v is not None}
    config = {key: value for key, value in resolved(job.config).items() if key != "hydra"}
    config["runs"] = str(settings.runs)
    folder = settings.runs / run_name(settings, choices, science_hash(job.config))
    return FrozenJob(job.overrides, config, choices, str(folder), tuple(flags))


@dataclass(frozen=True)
class Sweep:
    """All jobs of one command, and the folder that keeps them."""

    name: str
    folder: Path
    jobs: tuple[FrozenJob, ...]

    def path(self, number: int) -> Path:
        return self.folder / f"{number:04d}.json"

    def outcome(self, number: int) -> Path:
        """What the process of a job says of its end."""
        return self.folder / f"{number:04d}.outcome.json"

    def write(self, command: Sequence[str]) -> None:
        for number, job in enumerate(self.jobs):
            write_json(self.path(number), asdict(job))
        write_json(self.folder / "plan.json", {
            "name": self.name,
            "command": list(command),
            "jobs": [
                {"file": self.path(n).name, "overrides": list(job.overrides), "run": job.folder}
                for n, job in enumerate(self.jobs)
            ],
        })


def sweep_of(jobs: Sequence[FrozenJob], preset: str | None, runs: Path) -> Sweep:
    """The sweep of these jobs, each run once; the same jobs give the same sweep."""
    unique = tuple({(job.folder, str(job.config.get("study"))): job for job in jobs}.values())
    text = "\n".join(f"{job.name} {job.config.get('study')}" for job in unique)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    name = f"{preset or 'sweep'}-{digest}"
    return Sweep(name, runs / "sweeps" / name, unique)


def config_of(job: FrozenJob) -> DictConfig:
    """The job's configuration as Hydra would give it."""
    from omegaconf import OmegaConf

    config = OmegaConf.create(dict(job.config))
    assert isinstance(config, DictConfig)
    OmegaConf.set_struct(config, True)
    return config
