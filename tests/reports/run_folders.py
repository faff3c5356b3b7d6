"""Run folders written by hand, with numbers that can be checked on paper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cropi.reports.runs import Run
from cropi.tracking.metrics_file import FILE_NAME, MetricsFile, Record
from cropi.types import Cost


def write_run(
    folder: Path,
    targeted: Sequence[float],
    *,
    seed: int = 0,
    method: str = "cropi",
    finished: bool = True,
    every: int = 10,
    untargeted: Sequence[float] | None = None,
    selection_seconds: float = 30.0,
    choices: dict[str, str] | None = None,
    **config: Any,
) -> Path:
    """A run evaluated every ``every`` steps: 100 s of rollouts, then 2 s of training a step,
    ``selection_seconds`` after the evaluation at step 0, 5 s an evaluation; 1,000 training tokens
    a step."""
    folder.mkdir(parents=True)
    name = folder.name
    (folder / "manifest.json").write_text(json.dumps({
        "run_id": name, "name": name,
        "choices": {"selector": method, "tracker": name, **(choices or {})},
        "config": {
            "seed": seed, "selector": {"_target_": f"x.{method}", "alpha": 0.1},
            "benchmark": {"_target_": "x.B"}, **config,
        },
    }))
    cost = Cost.of("offline_rollout", seconds=100.0, generated_tokens=50_000)
    metrics: dict[str, float] = {}
    with MetricsFile(folder / FILE_NAME) as file:
        file.append(0, 0, "rollouts", cost.flat())
        for index, accuracy in enumerate(targeted):
            step = index * every
            if index:
                cost += Cost.of(
                    "training", seconds=2.0 * every, generated_tokens=1_000 * every,
                    backward_tokens=500 * every,
                )
                file.append(step, 0, "train", {"reward": 0.5, **cost.flat()})
            cost += Cost.of("evaluation", seconds=5.0, generated_tokens=7_000)
            metrics = {"eval/targeted": accuracy}
            if untargeted is not None:
                metrics["eval/untargeted"] = untargeted[index]
            file.append(step, 0, "evaluation", {**metrics, **cost.flat()})
            if index == 0:
                cost += Cost.of("selection", seconds=selection_seconds)
                file.append(step, 0, "selection", {"kept": 0.1, **cost.flat()})
    if finished:
        (folder / "result.json").write_text(json.dumps({
            "run_id": name, "finished": True, "steps": (len(targeted) - 1) * every,
            "metrics": metrics, "cost": cost.amounts, "policy": "0",
        }))
    return folder


def add_outcomes(
    folder: Path, sets: dict[str, Sequence[Sequence[float | None]]], *, step: int, of: str = "i"
) -> None:
    """Item outcomes of an evaluation: set -> items -> correctness of the samples, None unknown.

    Their averages go into the result, and the first set is the targeted one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = folder / "evaluations" / f"step-{step:06d}"
    place.mkdir(parents=True, exist_ok=True)
    averages: dict[str, float] = {}
    for name, items in sets.items():
        rows = [(f"{of}{n}", k, c) for n, item in enumerate(items) for k, c in enumerate(item)]
        pq.write_table(pa.table({
            "prompt_id": [row[0] for row in rows],
            "sample": pa.array([row[1] for row in rows], pa.int32()),
            "correctness": pa.array([row[2] for row in rows], pa.float64()),
            "extracted": ["x"] * len(rows), "finish": ["stop"] * len(rows),
            "length": pa.array([1] * len(rows), pa.int32()),
        }), place / f"{quote(name, safe='')}.parquet")  # fmt: skip
        known = [[c for c in item if c is not None] for item in items]
        means = [sum(item) / len(item) for item in known if item]
        averages[f"eval/{name}/avg@{len(items[0])}"] = sum(means) / len(means)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["targeted"] = list(sets)[:1]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if (folder / "result.json").exists():
        result = json.loads((folder / "result.json").read_text())
        result["metrics"] |= averages
        (folder / "result.json").write_text(json.dumps(result))


def run_of(
    values: Sequence[float], *, seed: int = 0, method: str = "cropi", every: int = 10
) -> Run:
    """A finished run that lies nowhere; 1 s a step, nothing else."""
    run = Run(Path(f"{method}{seed}"), f"{method}{seed}", {"seed": seed, "selector": method},
              {"selector": method}, {"cost": {}, "metrics": {}})  # fmt: skip
    run.__dict__["milestones"] = tuple(
        Record(n * every, 0, "evaluation",
               {"eval/targeted": float(v), "cost/training/seconds": float(n * every)})
        for n, v in enumerate(values)
    )  # fmt: skip
    return run
