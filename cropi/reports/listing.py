"""``cropi runs``: what lies in a folder of runs, and how far each is."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cropi.reports.arms import TARGETED
from cropi.reports.runs import MANIFEST, Run, find_runs
from cropi.runtime.locks import is_held


def main(paths: Sequence[Path], *, as_json: bool = False) -> None:
    """Print one line a run, newest last. Raises CropiError when there is none."""
    rows = sorted((row(run) for run in find_runs(paths)), key=lambda found: -found["age_seconds"])
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("run", "state", "steps", "targeted", "age", "size"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "run")
    for found in rows:
        accuracy = "-" if found["targeted"] is None else f"{100 * found['targeted']:.1f}"
        table.add_row(
            found["run"], found["state"], f"{found['steps']}/{found['of_steps'] or '?'}", accuracy,
            _age(found["age_seconds"]), f"{found['bytes'] / 2**20:.1f} MiB",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def row(run: Run) -> dict[str, Any]:
    """Everything about a run that a list shows."""
    values = run.curve(TARGETED).values
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    newest = max((path.stat().st_mtime for path in files), default=time.time())
    phases, steps = run.config.get("phases"), run.config.get("steps_per_phase")
    return {
        "run": run.run_id,
        "folder": str(run.folder),
        "state": state(run),
        "method": run.method,
        "seed": run.seed,
        "steps": run.steps,
        "of_steps": phases * steps if isinstance(phases, int) and isinstance(steps, int) else None,
        "targeted": float(values[-1]) if values.size else None,
        "age_seconds": max(0.0, time.time() - newest),
        "bytes": sum(path.stat().st_size for path in files),
    }


def state(run: Run) -> str:
    """finished, running, failed, unfinished."""
    if run.finished:
        return "finished"
    if is_held(run.folder):
        return "running"
    if run.failure is not None:
        return "failed"
    return "unfinished" if (run.folder / MANIFEST).is_file() else "not begun"


def _age(seconds: float) -> str:
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
