"""``cropi runs``: what lies in a folder of runs, and how far each is."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cropi.reports.arms import TARGETED
from cropi.reports.runs import FAILURE, MANIFEST, Run, read_run
from cropi.runtime.errors import CropiError, DataError
from cropi.runtime.locks import is_held

OWNER = ".lock-owner.json"  # there while a run is worked on, and after a kill
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def main(paths: Sequence[Path], *, as_json: bool = False) -> None:
    """Print one line a run, the latest last. Raises CropiError for what is no folder."""
    rows = sorted(map(row, folders(paths)), key=lambda found: -found["age_seconds"])
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif rows:
        _print(rows)
    else:
        print(f"no runs below {', '.join(map(str, paths))} yet; `cropi` starts one")


def folders(paths: Iterable[Path]) -> list[Path]:
    """Run folders in and below ``paths``, each once: begun, failed before that, or just locked."""
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir() and path != Path("runs"):  # the default need not be there yet
            raise CropiError(f"{path} is not a folder: give run folders, or a folder of them")
        for place, children, files in os.walk(path):
            if {MANIFEST, FAILURE, OWNER} & set(files):
                found[Path(place).resolve()] = None
                children.clear()  # a run holds no runs
            children.sort()
    return list(found)


def row(folder: Path) -> dict[str, Any]:
    """Everything about a run that a list shows. Nothing of a run being written is certain."""
    files = list(_files(folder))
    common = {
        "run": folder.name,
        "folder": str(folder),
        "age_seconds": max(0.0, time.time() - max((f.st_mtime for f in files), default=0.0)),
        "bytes": sum(f.st_size for f in files),
    }
    unknown = dict.fromkeys(("method", "seed", "steps", "of_steps", "targeted", "error"))
    if not {MANIFEST, FAILURE} & set(os.listdir(folder)):
        return {**common, **unknown, "state": "running" if _is_running(folder) else "not begun"}
    try:
        run = read_run(folder)
        return {**common, **_told(run), "state": state(run)}
    except (DataError, OSError) as error:
        return {**common, **unknown, "state": "unreadable", "error": str(error)}


def _told(run: Run) -> dict[str, Any]:
    phases, steps = run.config.get("phases"), run.config.get("steps_per_phase")
    return {
        "method": run.method,
        "seed": run.config.get("seed"),
        "steps": run.steps,
        "of_steps": phases * steps if isinstance(phases, int) and isinstance(steps, int) else None,
        "targeted": run.final(TARGETED),
        "error": None if run.failure is None else run.failure.get("error"),
    }


def state(run: Run) -> str:
    """finished, running, failed (a sweep's job), unfinished, or not begun."""
    if run.finished:
        return "finished"
    if _is_running(run.folder):
        return "running"
    if run.failure is not None:
        return "failed"
    return "unfinished" if (run.folder / MANIFEST).is_file() else "not begun"


def _is_running(folder: Path) -> bool:
    # Looking takes the lock for a moment, which a run that is just starting must not meet.
    return (folder / OWNER).exists() and is_held(folder)


def _files(folder: Path) -> Iterator[os.stat_result]:
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                yield path.stat()
        except OSError:
            continue  # a running job has just moved it


def _print(rows: Sequence[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("run", overflow="fold")
    for heading in ("state", "steps", "method", "seed", "targeted", "age", "size"):
        right = heading in ("steps", "seed", "targeted", "age", "size")
        table.add_column(heading, no_wrap=True, justify="right" if right else "left")
    for found in rows:
        accuracy, done = found["targeted"], found["steps"]
        table.add_row(
            found["run"], found["state"],
            "-" if done is None else f"{done}/{found['of_steps'] or '?'}",
            found["method"] or "-", _text(found["seed"]),
            "-" if accuracy is None else f"{100 * accuracy:.1f} %",
            _age(found["age_seconds"]), f"{found['bytes'] / 2**20:.1f} MiB",
        )  # fmt: skip
    width = None if sys.stdout.isatty() else 120
    Console(width=width, highlight=False, markup=False).print(table)
    for found in rows:
        if found["error"] and found["state"] in ("failed", "unreadable"):
            print(f"{found['state']}: {found['run']}: {found['error']}")


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _age(seconds: float) -> str:
    size, unit = next((pair for pair in UNITS if seconds >= pair[0]), UNITS[-1])
    return f"{seconds / size:.0f} {unit}"
