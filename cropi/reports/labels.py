"""How runs of one method are told apart in few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cropi.reports.runs import Run

SHOWN = 3  # differing keys, unless two runs would then look alike


def details(firsts: Sequence[Run]) -> list[tuple[str, ...]]:
    """What tells a run from others of its method: differing options, else differing keys."""
    found: list[tuple[str, ...]] = [()] * len(firsts)
    for method in dict.fromkeys(run.method for run in firsts):
        places = [at for at, run in enumerate(firsts) if run.method == method]
        described = [_told_apart(firsts[at]) for at in places]
        values: dict[str, set[str]] = {}
        for own in described:
            for name, value in own.items():
                values.setdefault(name, set()).add(repr(value))
        whole = [_shown(own, firsts[at], values) for at, own in zip(places, described, strict=True)]
        short = [(*w[:SHOWN], "…") if len(w) > SHOWN else w for w in whole]
        alike = len(set(short)) < len(short)
        for at, text in zip(places, whole if alike else short, strict=True):
            found[at] = text
    return found


def _shown(
    own: Mapping[str, Any], run: Run, values: Mapping[str, set[str]]
) -> tuple[str, ...]:
    differing = [name for name in own if len(values[name]) > 1]
    # A group whose option differs says enough: its single keys are left out.
    groups = [name for name in differing if name in run.choices]
    return tuple(
        f"{n}={own[n]}" for n in differing if n in groups or n.split(".")[0] not in groups
    )


def _told_apart(run: Run) -> dict[str, Any]:
    options = {name: option for name, option in run.choices.items() if name in run.config}
    rest = {name: value for name, value in run.keys.items() if name not in run.choices}
    return {name: value for name, value in {**options, **rest}.items() if name != "seed"}
