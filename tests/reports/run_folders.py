"""Run folders written by hand, with numbers that can be checked on paper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cropi.tracking.metrics_file import FILE_NAME, MetricsFile
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
    ``selection_seconds`` before step 1, 5 s an evaluation; 1,000 training tokens a step."""
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
    if finished:
        (folder / "result.json").write_text(json.dumps({
            "run_id": name, "finished": True, "steps": (len(targeted) - 1) * every,
            "metrics": {"eval/targeted": targeted[-1]}, "cost": cost.amounts, "policy": "0",
        }))
    return folder
