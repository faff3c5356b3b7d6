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
FAILURE = "failure.json"
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
    failure: Mapping[str, Any] | None = None  # why a sweep gave it up
    targeted: tuple[str, ...] = ()  # test sets whose validation set guided the selection

    @property
    def finished(self) -> bool:
        return self.result is not None

    @property
    def command(self) -> str:
        """What repeats the run, whatever the presets say today."""
        return f"cropi rerun {self.folder}"

    def outcomes(self, sets: Iterable[str] | None = None) -> dict[str, float]:
        """Mean correctness of every item of the last evaluation, by ``set/prompt id``.

        Of the targeted sets, or of those named. Items that cannot be scored are left out. Runs of
        an earlier cropi do not say which sets are targeted: then there are none.
        """
        from cropi.evaluation.estimates import item_means
        from cropi.evaluation.outcomes import read_outcomes

        wanted = self.targeted if sets is None else tuple(sets)
        steps = sorted((self.folder / "evaluations").glob("step-*"))
        found: dict[str, float] = {}
        for path in sorted(steps[-1].glob("*.parquet")) if steps else ():
            if path.stem in wanted:
                read = read_outcomes(path)
                means = item_means(read.correctness)
                found |= {
                    f"{path.stem}/{item}": float(mean)
                    for item, mean in zip(read.prompt_ids, means, strict=True)
                    if not np.isnan(mean)
                }
        return found

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
        costs = [cost for cost in map(cost_of, self.records) if cost.amounts]
        return costs[-1] if costs else Cost()

    def curve(self, metric: str) -> Curve:
        """The metric at each step it was recorded; the last record of a step counts."""
        found = {r.step: r for r in self.records if metric in r.metrics}
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
    return [read_run(folder) for folder in folders]


def read_run(folder: Path) -> Run:
    """Raises DataError when the manifest is not one of ours."""
    try:
        failed, begun = (folder / FAILURE).is_file(), (folder / MANIFEST).is_file()
        failure: dict[str, Any] | None = read_json(folder / FAILURE) if failed else None
        # A job that failed before its run had begun left only the record of that.
        manifest = read_json(folder / MANIFEST) if begun else {
            "run_id": folder.name, **(failure or {})
        }
        result = read_json(folder / RESULT) if (folder / RESULT).is_file() else None
        return Run(
            folder=folder,
            run_id=manifest["run_id"],
            config=manifest["config"],
            choices=manifest.get("choices", {}),
            records=tuple(read_metrics(folder / FILE_NAME)) if begun else (),
            result=result,
            failure=failure,
            targeted=tuple(manifest.get("targeted", ())),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: cannot be read as a run ({error!r})") from error


def cost_of(record: Record) -> Cost:
    """What the run had spent when the record was written."""
    amounts: dict[str, dict[str, float]] = {}
    for name, amount in record.metrics.items():
        if name.startswith("cost/"):
            _, purpose, kind = name.split("/")
            amounts.setdefault(purpose, {})[kind] = amount
    return Cost(amounts)
