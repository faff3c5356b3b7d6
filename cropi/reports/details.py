"""The details of arms as a terminal table: accuracies on the way, and what was spent on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cropi.reports.arms import LEVEL, TARGETED, UNTARGETED, Arm, levels, spread, steps_to
from cropi.reports.runs import Run, charged_seconds

if TYPE_CHECKING:
    from rich.table import Table

SECONDS = {
    "rollouts": "offline_rollout", "selection": "selection", "training": "training",
}
TOKENS = ("generated", "forward", "backward")


def table(arms: Sequence[Arm]) -> Table:
    """Methods as rows. Accuracies in percent; several seeds as mean ± sample deviation."""
    from rich import box
    from rich.table import Table

    reach = levels(arms)
    result = Table(
        box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, leading=1,
        caption_justify="left",
        caption="Accuracies in %; ± is the sample standard deviation over seeds.\n"
        f"Level: {LEVEL:.0%} of the best final targeted accuracy of a finished row.\n"
        "Total seconds and tokens leave out evaluation and loading. "
        "Unfinished runs are in no mean.",
    )
    result.add_column("run", overflow="fold")
    for heading in ("steps", "targeted", "untargeted", "to level", "seconds", "tokens"):
        result.add_column(heading, no_wrap=True)
    for arm in arms:
        result.add_row(
            _name(arm),
            str(min(run.steps for run in arm.runs)),
            _accuracy(arm, TARGETED),
            _accuracy(arm, UNTARGETED),
            _steps_to_level(arm, reach.get(arm.setting)),
            _seconds(arm),
            _tokens(arm),
            style=None if arm.finished else "dim",
        )
    return result


def _name(arm: Arm) -> str:
    from rich.markup import escape

    seeds = ", ".join(str(run.seed) for run in arm.runs)
    many = len(arm.runs) > 1
    lines = [
        escape(arm.method),
        *map(escape, arm.details),
        f"n={len(arm.runs)}, seeds {seeds}" if many else f"seed {seeds}",
        *([] if arm.finished else ["unfinished"]),
    ]
    return "\n".join(lines)


def _accuracy(arm: Arm, metric: str) -> str:
    curves = [run.curve(metric).values for run in arm.runs]
    if any(not values.size for values in curves):
        return "-"
    return _lines({
        "start": _percent([float(values[0]) for values in curves]),
        "end": _percent([float(values[-1]) for values in curves]),
        "best": _percent([float(values.max()) for values in curves]),
    })


def _steps_to_level(arm: Arm, level: float | None) -> str:
    curve = arm.mean_curve(TARGETED)
    if level is None or not curve.steps.size:
        return "-"
    reached = steps_to(curve, level)
    missed = "not reached" if arm.finished else "not yet"
    shown = missed if reached is None else f"step {reached:.0f}"
    return f"{shown}\nto {100 * level:.1f}"


def _seconds(arm: Arm) -> str:
    def of(purpose: str) -> str:
        return _mean(arm, lambda run: run.cost.amounts.get(purpose, {}).get("seconds", 0.0))

    return _lines({
        **{name: of(purpose) for name, purpose in SECONDS.items()},
        "total": _mean(arm, lambda run: charged_seconds(run.cost)),
        "evaluation": of("evaluation"),
    })


def _tokens(arm: Arm) -> str:
    def of(kind: str) -> str:
        return _mean(
            arm, lambda run: run.cost.total(f"{kind}_tokens", without=("evaluation", "load"))
        )

    amounts = {kind: of(kind) for kind in TOKENS}
    return _lines({kind: amount for kind, amount in amounts.items() if amount != "0"}) or "-"


def _mean(arm: Arm, amount: Callable[[Run], float]) -> str:
    return compact(float(np.mean([amount(run) for run in arm.runs])))


def _percent(values: Sequence[float]) -> str:
    deviation = spread(values)
    mean = f"{100 * float(np.mean(values)):.1f}"
    return mean if deviation is None else f"{mean} ± {100 * deviation:.1f}"


def _lines(cells: dict[str, str]) -> str:
    """Names to the left, numbers to the right, one pair a line."""
    names = max(map(len, cells), default=0)
    numbers = max(map(len, cells.values()), default=0)
    return "\n".join(f"{name:<{names}} {number:>{numbers}}" for name, number in cells.items())


def compact(amount: float) -> str:
    """Three digits: ``7.25``, ``831``, ``12.4k``, ``3.10M``."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if amount >= size:
            scaled = amount / (1e3 if suffix == "k" else size)
            return f"{scaled:.{max(0, 3 - len(str(int(scaled))))}f}{suffix}"
    digits = max(0, 3 - len(str(int(amount)))) if amount else 0
    return f"{amount:.{digits}f}"
