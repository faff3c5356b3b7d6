"""What a run is told besides its parts, and the parts it is made of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from cropi.contracts import Benchmark, PositiveInt, Sampling, Verifier
from cropi.runtime.parts import Part, part

if TYPE_CHECKING:
    from cropi.contracts import Generator, Model, Selector, Tracker, Trainer
    from cropi.evaluation.evaluation import Evaluation


Seed = Annotated[int, Field(ge=0)]
LabelNoise = Annotated[float, Field(ge=0.0, lt=1.0)]


def _folder(value: Any) -> Path:
    """Absolute, so that nothing later depends on the working directory."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("should be a folder, as text")
    return Path(value).expanduser().absolute()


def _cache_folder(value: Any) -> Path:
    return _folder(os.environ.get("CROPI_CACHE") or "~/.cache/cropi" if value is None else value)


def _file_name(value: str | None) -> str | None:
    if value is not None and (not value.strip(".") or set(value) & set("/\\\0\n")):
        raise ValueError("should be usable as a folder's name: no slash, not only dots")
    return value


@part
class Offline(Part):
    """Rollouts of the starting policy, drawn once."""

    samples: PositiveInt
    validation_samples: PositiveInt
    validation_prompts: PositiveInt
    shard_prompts: PositiveInt
    sampling: Sampling


@part
class Jobs(Part):
    """How the jobs of a sweep are run."""

    slots: PositiveInt | Literal["auto"]
    on_error: Literal["continue", "stop", "retry"]
    retries: Annotated[int, Field(ge=0)]


@part
class Settings(Part):
    """The root keys of conf/config.yaml; their meaning, units and defaults stand there."""

    seed: Seed
    label_noise: LabelNoise
    phases: PositiveInt
    steps_per_phase: PositiveInt
    offline: Offline
    checkpoint_every: PositiveInt
    keep_phase_policies: bool
    keep_gradients: bool
    workers: PositiveInt
    jobs: Jobs
    dry_run: bool
    runs: Annotated[Path, BeforeValidator(_folder)]
    name: Annotated[str | None, AfterValidator(_file_name)]
    cache: Annotated[Path, BeforeValidator(_cache_folder)]
    progress: Literal["auto", "rich", "plain"]


@part
class Data(Part):
    """All that a run's prompts depend on, but for the lengths that its policy can read."""

    seed: Seed
    label_noise: LabelNoise
    benchmark: Benchmark
    verifier: Verifier


@dataclass(frozen=True, kw_only=True)
class Parts:
    """One built part a group."""

    benchmark: Benchmark
    verifier: Verifier
    model: Model
    generator: Generator
    selector: Selector
    trainer: Trainer
    evaluation: Evaluation
    trackers: tuple[Tracker, ...]
