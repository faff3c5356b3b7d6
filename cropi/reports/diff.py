"""``cropi diff``: what two runs differ in, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cropi.reports.runs import MANIFEST, read_run
from cropi.runtime.files import read_json
from cropi.tracking.flatten import flatten

ABSENT = "(absent)"
SHOWN = ("eval/targeted", "eval/untargeted", "eval/all")


def lines(one: Path, other: Path, *, everything: bool = False) -> list[str]:
    """For people: configuration, environment, data and model, final metrics."""
    first, second = read_run(one), read_run(other)
    manifests = [
        read_json(path / MANIFEST) if (path / MANIFEST).is_file() else {} for path in (one, other)
    ]
    found = [f"1: {one}", f"2: {other}"]
    found += _block("configuration", flatten(first.config), flatten(second.config))
    found += _block("environment", *(flatten(m.get("environment", {})) for m in manifests))
    found += _block("data and model", *(
        flatten({key: m.get(key) for key in ("data", "data_report", "label_noise", "model")})
        for m in manifests
    ))
    results = [dict(run.result["metrics"]) if run.result else {} for run in (first, second)]
    names = sorted({*results[0], *results[1]}) if everything else [
        name for name in SHOWN if any(name in result for result in results)
    ]
    found += ["", "final metrics"]
    found += [
        f"  {name}: {_number(results[0].get(name))}  {_number(results[1].get(name))}"
        for name in names
    ] or ["  none yet"]
    return found


def _block(title: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    odd = [k for k in dict.fromkeys([*one, *other]) if one.get(k, ABSENT) != other.get(k, ABSENT)]
    return ["", title, *(
        [f"  {key}: {one.get(key, ABSENT)} -> {other.get(key, ABSENT)}" for key in odd]
        or ["  the same"]
    )]  # fmt: skip


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
