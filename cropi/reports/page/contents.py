"""What the report shows besides curves, read from run folders: numbers only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropi.reports.arms import TARGETED, Arm
from cropi.reports.runs import Run
from cropi.reports.statistics import Summary, summary
from cropi.tracking.flatten import flatten
from cropi.types import FloatArray

ALPHA, KEEP = "selector.alpha", "selector.projector.keep"
MOST_PHASES = 8  # of a method that are drawn


@dataclass(frozen=True)
class Cell:
    """The runs with one pair of values. Without a finished one it has a state and no accuracy."""

    x: float
    y: float
    accuracy: Summary | None
    state: str

    def lines(self) -> list[str]:
        if self.accuracy is None:
            return [self.state]
        found = self.accuracy
        lines = [f"{100 * found.mean:.1f}", f"n={found.n}"]
        if found.low is not None and found.high is not None:
            lines.append(f"[{100 * found.low:.1f}, {100 * found.high:.1f}]")
        return lines


def cells(runs: Sequence[Run], x: str = ALPHA, y: str = KEEP) -> list[Cell]:
    """Finished runs by two numeric keys; none unless at least one of them varies."""
    found: dict[tuple[float, float], list[Run]] = {}
    for run in runs:
        config = flatten(run.config)
        pair = config.get(x), config.get(y)
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in pair):
            found.setdefault((float(pair[0]), float(pair[1])), []).append(run)  # type: ignore[arg-type]
    if len(found) < 2:
        return []
    return [_cell(*pair, members) for pair, members in sorted(found.items())]


def _cell(x: float, y: float, runs: Sequence[Run]) -> Cell:
    curves = [run.curve(TARGETED).values for run in runs if run.finished]
    values = [float(curve[-1]) for curve in curves if curve.size]
    failed = any(run.failure is not None for run in runs)
    state = "" if values else "failed" if failed else "unfinished"
    return Cell(x, y, summary(values) if values else None, state)


@dataclass(frozen=True)
class Composition:
    """Shares of the selected prompts by family, over an arm's seeds, in one phase."""

    label: str
    phase: int
    shares: Mapping[str, float]


def selections(run: Run) -> list[list[dict[str, Any]]]:
    """The selected prompts of each phase, as they were written."""
    found = []
    for path in sorted((run.folder / "phases").glob("*/selection.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        found.append([json.loads(line) for line in lines])
    return found


def compositions(arms: Sequence[Arm]) -> list[Composition]:
    """Nothing where no prompt has a family."""
    found = []
    for arm in arms:
        chosen = [selections(run) for run in arm.runs]
        for phase in range(min(MOST_PHASES, min(map(len, chosen), default=0))):
            counts = Counter(
                str(line["family"]).split("/")[0] for phases in chosen for line in phases[phase]
            )
            total = counts.total()
            shares = {family: n / total for family, n in sorted(counts.items())} if total else {}
            found.append(Composition(arm.label, phase, shares))
    return found if any(family for each in found for family in each.shares) else []


@dataclass(frozen=True)
class Overlap:
    """Jaccard indices between selections, float64 [N, N]."""

    name: str
    title: str
    labels: tuple[str, ...]
    values: FloatArray


def overlap_of_methods(arms: Sequence[Arm]) -> Overlap | None:
    """Of the last phase, mean over the seeds that both have; None for fewer than two methods."""
    last = [
        (arm.label, {run.seed: _ids(selections(run)[-1]) for run in arm.runs if selections(run)})
        for arm in arms
    ]
    kept = [(label, by_seed) for label, by_seed in last if by_seed]
    if len(kept) < 2:
        return None
    values = np.array([[_shared(a, b) for _, b in kept] for _, a in kept])
    names = tuple(label for label, _ in kept)
    return Overlap("overlap-methods", "Overlap of the last selections", names, values)


def overlap_of_phases(arm: Arm) -> Overlap | None:
    """Of one method's phases, mean over its seeds; None for one phase, or one selection for all."""
    chosen = [[_ids(phase) for phase in selections(run)] for run in arm.runs]
    phases = min(map(len, chosen), default=0)
    if phases < 2:
        return None
    values = np.mean([
        [[_jaccard(run[i], run[j]) for j in range(phases)] for i in range(phases)] for run in chosen
    ], axis=0)  # fmt: skip
    if np.all(values == 1.0):
        return None
    labels = tuple(f"phase {n + 1}" for n in range(phases))
    name = "overlap-" + "".join(c if c.isalnum() else "-" for c in arm.label)
    return Overlap(name, f"Overlap of the phases of {arm.label}", labels, values)


def _ids(lines: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(str(line["id"]) for line in lines)


def _shared(a: Mapping[int, frozenset[str]], b: Mapping[int, frozenset[str]]) -> float:
    seeds = a.keys() & b.keys()
    return float(np.mean([_jaccard(a[s], b[s]) for s in seeds])) if seeds else float("nan")


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0


@dataclass(frozen=True)
class Scored:
    """Valid scores of one run, by phase, and those of the selected prompts."""

    label: str
    values: tuple[npt.NDArray[np.float64], ...]
    selected: tuple[npt.NDArray[np.float64], ...]


def scored(arm: Arm) -> Scored | None:
    """Of the arm's first seed; None where all scores are alike or none were written."""
    import pyarrow.parquet as pq

    values, selected = [], []
    paths = sorted((arm.runs[0].folder / "phases").glob("*/scores.parquet"))[:MOST_PHASES]
    for path in paths:
        table = pq.read_table(path, columns=["score", "valid", "selected"])
        score, valid, chosen = (table[name].to_numpy() for name in ("score", "valid", "selected"))
        values.append(score[valid])
        selected.append(score[valid & chosen])
    if not values or all(v.size == 0 or v.min() == v.max() for v in values):
        return None
    return Scored(f"{arm.label}, seed {arm.runs[0].seed}", tuple(values), tuple(selected))


def differing_keys(runs: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """Config keys on which the runs differ, and their values, one row a run."""
    flat = [flatten(run.config) for run in runs]
    keys = list(dict.fromkeys(key for config in flat for key in config))
    varied = [k for k in keys if len({str(config.get(k)) for config in flat}) > 1]
    return varied, [[str(config.get(key, "")) for key in varied] for config in flat]


def relative(folder: Path, to: Path) -> str:
    """A link from the page in folder ``to``, for a browser."""
    import os
    from urllib.parse import quote

    return quote(os.path.relpath(folder.resolve(), to.resolve()).replace(os.sep, "/"))
