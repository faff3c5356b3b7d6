"""Runs as they lie on disk, finished or not: files only, never a model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cropi.runtime.errors import CropiError, DataError
from cropi.runtime.files import read_json
from cropi.tracking.metrics_file import FILE_NAME, Record, read_metrics
from cropi.types import Cost, FloatArray

MANIFEST = "manifest.json"
RESULT = "result.json"
CHARGED = ("offline_rollout", "selection", "training")  # what a comparison of seconds counts


@dataclass(frozen=True)
class Curve:
    """A metric over training: its value after each evaluated step, and the seconds till then."""

    steps: FloatArray  # [E], rising
    seconds: FloatArray  # [E], of the ``CHARGED`` purposes
    values: FloatArray  # [E]


@dataclass(frozen=True)
class Run:
    """One run folder."""

    folder: Path
    run_id: str
    config: Mapping[str, Any]
    choices: Mapping[str, str]  # option chosen of each group, such as selector -> learnability
    records: tuple[Record, ...]
    result: Mapping[str, Any] | None  # None until the run is finished

    @property
    def finished(self) -> bool:
        return self.result is not None

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    @property
    def method(self) -> str:
        """The selector's option name."""
        if "selector" in self.choices:
            return self.choices["selector"]
        return str(self.config["selector"]["_target_"]).rpartition(".")[2]

    @property
    def steps(self) -> int:
        """Optimizer steps done."""
        return max((record.step for record in self.records), default=0)

    @property
    def cost(self) -> Cost:
        """All that was spent so far."""
        if self.result is not None:
            return Cost(self.result["cost"])
        costs = [cost for cost in map(_cost, self.records) if cost.amounts]
        return costs[-1] if costs else Cost()

    def curve(self, metric: str) -> Curve:
        """The metric at each step it was recorded; the last record of a step counts."""
        found = {r.step: r for r in self.records if metric in r.metrics}
        steps = sorted(found)
        seconds = [charged_seconds(_cost(found[step])) for step in steps]
        values = [found[step].metrics[metric] for step in steps]
        return Curve(np.array(steps, float), np.array(seconds, float), np.array(values, float))


def charged_seconds(cost: Cost) -> float:
    """Seconds of rollouts, selection and training: not of evaluation, nor of loading, which
    depends on what was cached."""
    return sum(cost.amounts.get(purpose, {}).get("seconds", 0.0) for purpose in CHARGED)


def find_runs(paths: Iterable[Path]) -> list[Run]:
    """The runs in and below ``paths``, each once. Raises CropiError when there are none."""
    asked = list(paths)
    folders: dict[Path, None] = {}
    for path in asked:
        if not path.is_dir():
            raise CropiError(f"{path} is not a folder: give run folders, or a folder of them")
        for place, children, files in os.walk(path):
            if MANIFEST in files:
                folders[Path(place).resolve()] = None
                children.clear()  # a run holds no runs
            children.sort()
    if not folders:
        where = ", ".join(str(path) for path in asked)
        raise CropiError(f"no runs below {where}: a run folder holds a {MANIFEST}")
    return [read_run(folder) for folder in folders]


def read_run(folder: Path) -> Run:
    """Raises DataError when the manifest is not one of ours."""
    try:
        manifest = read_json(folder / MANIFEST)
        result = read_json(folder / RESULT) if (folder / RESULT).is_file() else None
        return Run(
            folder=folder,
            run_id=manifest["run_id"],
            config=manifest["config"],
            choices=manifest.get("choices", {}),
            records=tuple(read_metrics(folder / FILE_NAME)),
            result=result,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: cannot be read as a run ({error!r})") from error


def _cost(record: Record) -> Cost:
    amounts: dict[str, dict[str, float]] = {}
    for name, amount in record.metrics.items():
        if name.startswith("cost/"):
            _, purpose, kind = name.split("/")
            amounts.setdefault(purpose, {})[kind] = amount
    return Cost(amounts)
