"""How long a table of many runs takes: seconds from folders to text.

    python bench/results.py --runs 1000 --seeds 5 --steps 200

Writes run folders into a temporary folder (two test sets, an evaluation every 20 steps, costs in
every record, item outcomes of the last evaluation), makes their table with everything in it
(paired differences, intervals, accelerations on four axes) and prints one JSON object. The
folders are deleted at the end. ``without_items`` is the same table of the same runs after
their item outcomes have been taken away.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cropi.reports.results import main as results
from cropi.runtime.seeds import stream

SETS, ITEMS, SAMPLES, EVERY = ("A", "B"), 100, 4, 20
METRICS = 60  # of a training step, as real runs have


def write_run(folder: Path, method: int, seed: int, steps: int) -> None:
    """One finished run of a method: its accuracy rises to a level of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = stream(seed, "bench", method)
    folder.mkdir(parents=True)
    name = "full" if method == 0 else f"method{method}"
    config = {
        "seed": seed, "benchmark": {"_target_": "x.B"}, "evaluation": {"every": EVERY},
        "model": {"_target_": "x.M"}, "selector": {"_target_": f"x.{name}", "alpha": 0.1},
        "trainer": {f"option{n}": n for n in range(40)},
    }
    (folder / "manifest.json").write_text(json.dumps({
        "run_id": folder.name, "name": folder.name, "choices": {"selector": name},
        "config": config, "targeted": list(SETS), "environment": {"packages": {}},
    }))
    level, lines, last = 0.4 + 0.3 * generator.random(), [], {}
    filler = {f"train/metric{n}": float(n) for n in range(METRICS)}
    for step in range(steps + 1):
        cost = {
            "cost/offline_rollout/seconds": 8.0, "cost/offline_rollout/generated_tokens": 1e5,
            "cost/selection/seconds": 4.0, "cost/training/seconds": 0.1 * step,
            "cost/training/generated_tokens": 900.0 * step,
            "cost/training/forward_tokens": 1700.0 * step,
            "cost/training/backward_tokens": 1700.0 * step,
        }  # fmt: skip
        if step:
            row = {"step": step, "phase": 0, "kind": "train", "metrics": {**filler, **cost}}
            lines.append(json.dumps(row))
        if step % EVERY == 0:
            value = level * (1 - np.exp(-3 * step / steps)) + generator.normal(0, 0.01)
            last = {"eval/targeted": value, **{f"eval/{s}/avg@{SAMPLES}": value for s in SETS}}
            row = {"step": step, "phase": 0, "kind": "evaluation", "metrics": {**last, **cost}}
            lines.append(json.dumps(row))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "result.json").write_text(json.dumps({
        "run_id": folder.name, "finished": True, "steps": steps, "metrics": last,
        "cost": {"training": {"seconds": 0.1 * steps}}, "policy": "0",
    }))
    place = folder / "evaluations" / f"step-{steps:06d}"
    place.mkdir(parents=True)
    rows = ITEMS * SAMPLES
    for each in SETS:
        right = generator.random(rows) < level
        pq.write_table(pa.table({
            "prompt_id": [f"{each}{n:06d}" for n in range(ITEMS) for _ in range(SAMPLES)],
            "sample": pa.array(list(range(SAMPLES)) * ITEMS, pa.int32()),
            "correctness": right.astype(float), "extracted": ["1"] * rows,
            "finish": ["stop"] * rows, "length": pa.array([5] * rows, pa.int32()),
        }), place / f"{each}.parquet")  # fmt: skip


def timed(folder: Path) -> dict[str, float]:
    """Wall-clock and processor seconds (the former suffers from whatever else is running)."""
    began, worked = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        results([folder], form="json")
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - worked, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5, help="runs of one method")
    parser.add_argument("--steps", type=int, default=200, help="training steps of a run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(options.runs):
            method, seed = divmod(number, options.seeds)
            write_run(folder / f"run{number:05d}", method, seed, options.steps)
        size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
        whole = timed(folder)
        for each in folder.glob("*/evaluations"):
            shutil.rmtree(each)
        print(json.dumps({
            "runs": options.runs, "seeds": options.seeds, "steps": options.steps,
            "megabytes": round(size / 1e6, 1), **whole, "without_items": timed(folder),
            "python": sys.version.split()[0],
        }))


if __name__ == "__main__":
    main()
