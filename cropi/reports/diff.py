"""``cropi diff``: what two runs differ in, the first's value before the second's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cropi.reports.runs import MANIFEST, Run, read_run
from cropi.runtime.errors import CropiError
from cropi.runtime.files import read_json
from cropi.tracking.flatten import flatten

ABSENT = "(absent)"
SHOWN = ("eval/targeted", "eval/untargeted", "eval/all")
FINGERPRINTS = ("data", "data_report", "label_noise", "model")
NOT_COMPARED = ("command",)  # of an environment: it says the configuration once more


def lines(one: Path, other: Path, *, everything: bool = False) -> list[str]:
    """For people: configuration by group, environment, data and model, final metrics.

    With ``everything`` also what is equal, and every metric. Raises CropiError when both are the
    same run.
    """
    if one.resolve() == other.resolve():
        raise CropiError(f"{one} and {other} are the same run: give two that differ")
    first, second = read_run(one), read_run(other)
    found = [f"1: {one}{_end(first)}", f"2: {other}{_end(second)}", "", "configuration"]
    found += _grouped(_named(first), _named(second), everything)
    was, now = _manifest(one), _manifest(other)
    found += ["", "environment", *_compared(_environment(was), _environment(now), everything)]
    found += ["", "data and model, by fingerprint"]
    found += _compared(_fingerprints(was), _fingerprints(now), everything)
    return [*found, "", "metrics", *_metrics(first, second, everything)]


def _manifest(folder: Path) -> dict[str, Any]:
    """Empty where a job failed before its run had begun."""
    path = folder / MANIFEST
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


def _environment(manifest: Mapping[str, Any]) -> dict[str, Any]:
    known = manifest.get("environment", {})
    return flatten({name: value for name, value in known.items() if name not in NOT_COMPARED})


def _fingerprints(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return flatten({name: manifest[name] for name in FINGERPRINTS if name in manifest})


def _end(run: Run) -> str:
    if run.finished:
        return f"  (finished, {run.steps} steps)"
    if run.failure is not None:
        return f"  (failed: {run.failure.get('error')})"
    return f"  (unfinished, {run.steps} steps)"


def _named(run: Run) -> dict[str, Any]:
    """Every key, and for each group the option that was chosen of it."""
    chosen = {name: option for name, option in run.choices.items() if name in run.config}
    return {**chosen, **flatten(run.config)}


def _grouped(one: Mapping[str, Any], other: Mapping[str, Any], everything: bool) -> list[str]:
    """A line a key under a line a group; root keys first."""
    keys = dict.fromkeys([*one, *other])
    roots = [key for key in keys if "." not in key and not _has_children(key, keys)]
    groups = dict.fromkeys(key.partition(".")[0] for key in keys if key not in roots)
    found = list(_rows({key: key for key in roots}, one, other, everything))
    for group in groups:
        named = {key: key for key in keys if key.partition(".")[0] == group}
        alone: list[str] = []
        target = f"{group}._target_"
        if one.get(target) != other.get(target) and not everything:
            # Another part has keys of its own, which say nothing beside it.
            alone = [key for key in named if (key in one) != (key in other)]
        rows = list(_rows({k: k for k in named if k not in alone}, one, other, everything))
        if alone:
            rows.append(f"  ({len(alone)} keys that only one of them has: --all)")
        found += rows and [f"  {group}", *(f"  {row}" for row in rows)]
    return found or ["  the same"]


def _has_children(key: str, keys: Mapping[str, Any]) -> bool:
    return any(each.startswith(f"{key}.") for each in keys)


def _compared(one: Mapping[str, Any], other: Mapping[str, Any], everything: bool) -> list[str]:
    if not one or not other:
        return ["  not known of " + ("either" if not (one or other) else "1" if other else "2")]
    named = {key: key.removeprefix("packages.") for key in dict.fromkeys([*one, *other])}
    return list(_rows(named, one, other, everything)) or ["  the same"]


def _rows(
    names: Mapping[str, str], one: Mapping[str, Any], other: Mapping[str, Any], everything: bool
) -> Iterator[str]:
    for key, name in names.items():
        was, now = (side.get(key, ABSENT) for side in (one, other))
        if was != now:
            yield f"  {name}: {_text(was)} -> {_text(now)}"
        elif everything:
            yield f"  {name}: {_text(was)}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _metrics(one: Run, other: Run, everything: bool) -> list[str]:
    """Side by side: the final ones, or the last evaluation's of an unfinished run."""
    columns = [_last(run) for run in (one, other)]
    known = sorted({*columns[0], *columns[1]})
    names = known if everything else [name for name in SHOWN if name in known]
    if not names:
        return ["  none yet"]
    width = max(map(len, names))
    found = [f"  {'':{width}}  {'1':>10}  {'2':>10}  {'2 - 1':>10}"]
    for name in names:
        was, now = (column.get(name) for column in columns)
        gain = "-" if was is None or now is None else f"{now - was:+.4f}"
        found.append(f"  {name:{width}}  {_number(was):>10}  {_number(now):>10}  {gain:>10}")
    return found


def _last(run: Run) -> dict[str, float]:
    if run.result is not None:
        return dict(run.result["metrics"])
    found: dict[str, float] = {}
    for record in run.milestones:
        if record.kind == "evaluation":
            found = dict(record.metrics)
    return found


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
