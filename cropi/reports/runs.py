"""Runs as they lie on disk, finished or not: files only, never a model, and read when asked for."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cropi.runtime.errors import CropiError, DataError
from cropi.runtime.files import read_json
from cropi.tracking.flatten import flatten
from cropi.tracking.metrics_file import FILE_NAME, Record, read_metrics
from cropi.types import Cost, FloatArray

MANIFEST = "manifest.json"
RESULT = "result.json"
FAILURE = "failure.json"
CHARGED = ("offline_rollout", "selection", "training")  # what a comparison of costs counts
KINDS = ("seconds", "generated_tokens", "forward_tokens", "backward_tokens")


@dataclass(frozen=True)
class Curve:
    """A metric over training: its value after each evaluated step, and the seconds till then."""

    steps: FloatArray  # [E], rising
    seconds: FloatArray  # [E], of the ``CHARGED`` purposes
    values: FloatArray  # [E]


@dataclass(frozen=True)
class Run:
    """One run folder. Metrics are read when they are first asked for, so that many are no burden.

    Whatever reads them raises DataError for a file that is not ours.
    """

    folder: Path
    run_id: str
    config: Mapping[str, Any]
    choices: Mapping[str, str]  # option chosen of each group, such as selector -> learnability
    result: Mapping[str, Any] | None  # None until the run is finished
    failure: Mapping[str, Any] | None = None  # why a sweep gave it up
    targeted: tuple[str, ...] = ()  # test sets whose validation set guided the selection

    @property
    def finished(self) -> bool:
        return self.result is not None

    @property
    def command(self) -> str:
        """What repeats the run, whatever the presets say today."""
        return shlex.join(["cropi", "rerun", str(self.folder)])

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    @property
    def method(self) -> str:
        """The selector's option name."""
        if "selector" in self.choices:
            return self.choices["selector"]
        return str(self.config["selector"]["_target_"]).rpartition(".")[2]

    @cached_property
    def keys(self) -> Mapping[str, Any]:
        """Every config key and the option chosen of every group, by name."""
        return {**flatten(self.config), **self.choices}

    @cached_property
    def variant(self) -> str:
        """What it shares with the runs that differ from it by their seed alone."""
        return json.dumps({k: v for k, v in self.config.items() if k != "seed"}, sort_keys=True)

    @cached_property
    def setting(self) -> str:
        """What must be equal for accuracies to be comparable: the benchmark and how it is read."""
        found = [self.config.get("benchmark"), self.config.get("evaluation")]
        return json.dumps(found, sort_keys=True)

    @cached_property
    def records(self) -> tuple[Record, ...]:
        return tuple(read_metrics(self.folder / FILE_NAME))

    @cached_property
    def milestones(self) -> tuple[Record, ...]:
        """The records of evaluations, rollouts and selections: all but those of single steps."""
        return tuple(read_metrics(self.folder / FILE_NAME, without="train"))

    @property
    def steps(self) -> int:
        """Optimizer steps done."""
        if self.result is not None and "steps" in self.result:
            return int(self.result["steps"])
        return max((record.step for record in self.records), default=0)

    @property
    def cost(self) -> Cost:
        """All that was spent so far."""
        if self.result is not None:
            return Cost(self.result["cost"])
        costs = [cost for cost in map(cost_of, self.records) if cost.amounts]
        return costs[-1] if costs else Cost()

    @cached_property
    def charged(self) -> tuple[FloatArray, Mapping[str, FloatArray]]:
        """(steps [P], kind -> amount [P]): spent by each milestone, all ``CHARGED`` purposes.

        Kinds are ``seconds`` and ``generated_tokens``, ``forward_tokens``, ``backward_tokens``.
        """
        found = {kind: np.zeros(len(self.milestones)) for kind in KINDS}
        for at, record in enumerate(self.milestones):
            for name, amount in record.metrics.items():
                if name.startswith("cost/"):
                    _, purpose, kind = name.split("/")
                    if purpose in CHARGED and kind in found:
                        found[kind][at] += amount
        return np.array([record.step for record in self.milestones], dtype=float), found

    def final(self, metric: str) -> float | None:
        """The metric's last value, None when it was never recorded."""
        if self.result is not None and metric in self.result.get("metrics", {}):
            return float(self.result["metrics"][metric])
        values = self.curve(metric).values
        return float(values[-1]) if values.size else None

    def curve(self, metric: str) -> Curve:
        """The metric at each step it was recorded; the last record of a step counts."""
        records = self.milestones if metric.startswith("eval/") else self.records
        found = {r.step: r for r in records if metric in r.metrics}
        steps = sorted(found)
        seconds = [charged_seconds(cost_of(found[step])) for step in steps]
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
            if MANIFEST in files or FAILURE in files:
                folders[Path(place).resolve()] = None
                children.clear()  # a run holds no runs
            children.sort()
    if not folders:
        where = ", ".join(str(path) for path in asked)
        raise CropiError(f"no runs below {where}: a run folder holds a {MANIFEST}")
    return _alike([read_run(folder) for folder in folders])


def read_run(folder: Path) -> Run:
    """Raises DataError when the manifest is not one of ours."""
    try:
        failed, begun = (folder / FAILURE).is_file(), (folder / MANIFEST).is_file()
        failure: dict[str, Any] | None = read_json(folder / FAILURE) if failed else None
        # A job that failed before its run had begun left only the record of that.
        manifest = read_json(folder / MANIFEST) if begun else {
            "run_id": folder.name, **(failure or {})
        }
        return Run(
            folder=folder,
            run_id=manifest["run_id"],
            config=manifest["config"],
            choices=manifest.get("choices", {}),
            result=read_json(folder / RESULT) if (folder / RESULT).is_file() else None,
            failure=failure,
            targeted=_targeted(manifest),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: cannot be read as a run ({error!r})") from error


def _alike(runs: Sequence[Run]) -> list[Run]:
    """A run that never began has its whole configuration: as little of it as the others have."""
    begun = [run for run in runs if (run.folder / MANIFEST).is_file()]
    keys = {key for run in begun for key in run.config}
    return [
        run if not keys or run.config.keys() <= keys
        else replace(run, config={k: v for k, v in run.config.items() if k in keys})
        for run in runs
    ]


def _targeted(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """As the manifest says; those of an earlier cropi name a validation set of each."""
    data = manifest.get("data", {})
    guided = [name.removeprefix("test/") for name in data
              if name.startswith("test/") and f"validation/{name[5:]}" in data]
    return tuple(manifest.get("targeted", guided))


def cost_of(record: Record) -> Cost:
    """What the run had spent when the record was written."""
    amounts: dict[str, dict[str, float]] = {}
    for name, amount in record.metrics.items():
        if name.startswith("cost/"):
            _, purpose, kind = name.split("/")
            amounts.setdefault(purpose, {})[kind] = amount
    return Cost(amounts)
