"""What a sweep is going to do: which jobs there are, which are done, what the rest may cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cropi.reports.runs import CHARGED
from cropi.run import FAILURE, MANIFEST, RESULT
from cropi.runtime.files import read_json
from cropi.runtime.locks import is_held
from cropi.sweeping.jobs import FrozenJob, Sweep

State = Literal["finished", "running", "failed", "begun", "new"]
Spent = tuple[tuple[str, ...], int, float, float]  # kind of run, steps, seconds, tokens
TOKENS = ("generated_tokens", "forward_tokens", "backward_tokens")


@dataclass(frozen=True)
class Estimate:
    """Of one job: seconds and tokens, from ``runs`` finished runs; no runs, no estimate."""

    seconds: float = 0.0
    tokens: float = 0.0
    runs: int = 0


@dataclass(frozen=True)
class Planned:
    """A job, what tells it from the others, how far it is, and what it may cost."""

    job: FrozenJob
    differs: Mapping[str, str]
    state: State
    estimate: Estimate


def plan(sweep: Sweep) -> list[Planned]:
    """Every job of the sweep, in order. Reads run folders, changes nothing."""
    costs = _costs({Path(job.folder).parent for job in sweep.jobs})
    return [
        Planned(job, differs, state_of(job), _estimate(job, costs))
        for job, differs in zip(sweep.jobs, differences(sweep.jobs), strict=True)
    ]


def state_of(job: FrozenJob) -> State:
    """From the run's folder. A study is never finished: it is cheap, and its run is."""
    folder = Path(job.folder)
    if (folder / RESULT).exists():
        return "begun" if job.config.get("study") is not None else "finished"
    if is_held(folder):
        return "running"
    if (folder / FAILURE).exists():
        return "failed"
    return "begun" if (folder / MANIFEST).exists() else "new"


def differences(jobs: Sequence[FrozenJob]) -> list[dict[str, str]]:
    """The overrides of each job that not all jobs have, as key and value."""
    given = [dict(_key_and_value(line) for line in job.overrides) for job in jobs]
    keys = dict.fromkeys(key for overrides in given for key in overrides)
    varied = [k for k in keys if len({overrides.get(k) for overrides in given}) > 1]
    return [{k: overrides[k] for k in varied if k in overrides} for overrides in given]


def _key_and_value(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value


def _costs(folders: set[Path]) -> list[Spent]:
    """Of every finished run."""
    found: list[Spent] = []
    for folder in folders:
        for path in sorted(folder.glob(f"*/{RESULT}")):
            try:
                manifest, result = read_json(path.parent / MANIFEST), read_json(path)
                amounts = [result["cost"].get(purpose, {}) for purpose in CHARGED]
                found.append((
                    _kind(manifest["choices"]),
                    int(result["steps"]),
                    sum(a.get("seconds", 0.0) for a in amounts),
                    sum(a.get(kind, 0.0) for a in amounts for kind in TOKENS),
                ))
            except (OSError, KeyError, TypeError, json.JSONDecodeError):
                continue  # another program's files, or a run being written
    return found


def _kind(choices: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(choices.get(group, "") for group in ("benchmark", "model", "selector"))


def _estimate(job: FrozenJob, costs: Sequence[Spent]) -> Estimate:
    """The mean of finished runs of the same benchmark, model and selector, by the step.

    Without any, of the same benchmark and model.
    """
    kind, steps = _kind(job.choices), _steps(job.config)
    alike = [c for c in costs if c[0] == kind] or [c for c in costs if c[0][:2] == kind[:2]]
    if not alike:
        return Estimate()
    share = [steps / max(1, done) for _, done, _, _ in alike]
    seconds = np.mean([s * cost[2] for s, cost in zip(share, alike, strict=True)])
    tokens = np.mean([s * cost[3] for s, cost in zip(share, alike, strict=True)])
    return Estimate(float(seconds), float(tokens), len(alike))


def _steps(config: Mapping[str, Any]) -> int:
    return int(config["phases"]) * int(config["steps_per_phase"])
