"""What the page is made from: runs, arms, their comparison, and which of them may be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cropi.reports.arms import Arm
from cropi.reports.comparison import Comparison, Row
from cropi.reports.page.selections import Selections
from cropi.reports.runs import Run


@dataclass(frozen=True)
class Place:
    """Rows whose accuracies mean the same: one benchmark, one way of evaluation, one model."""

    name: str  # empty where there is one place only
    rows: tuple[Row, ...]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What arms are called here, each once, the finished ones first: colours go by this."""
        ordered = sorted(self.rows, key=lambda row: not row.arm.finished)
        return tuple(dict.fromkeys(self.label(row.arm) for row in ordered))

    def label(self, arm: Arm) -> str:
        """``cropi alpha=0.1``: keys by their last name, without what all rows have in common."""
        told = [set(row.arm.details) for row in self.rows]
        common = set.intersection(*told)
        keys = {detail.partition("=")[0] for details in told for detail in details - common}
        ends = Counter(key.rpartition(".")[2] for key in keys)
        rest = []
        for detail in arm.details:
            key, sign, value = detail.partition("=")
            end = key.rpartition(".")[2]
            if detail not in common:
                rest.append(f"{end if ends[end] == 1 else key}{sign}{value}")
        return " ".join([arm.method, *rest])

    def arms(self, among: Sequence[Arm]) -> list[Arm]:
        """Those that are here."""
        return [row.arm for row in self.rows if any(row.arm is arm for arm in among)]


@dataclass(frozen=True)
class Findings:
    """Everything that sections are drawn from. ``not_begun``: planned jobs without a run."""

    runs: Sequence[Run]
    compared: Comparison
    not_begun: Sequence[Run] = ()

    @cached_property
    def places(self) -> tuple[Place, ...]:
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.compared.rows:
            key = row.arm.setting, str(row.arm.runs[0].config.get("model"))
            found.setdefault(key, []).append(row)
        names = [_name(rows[0].arm.runs[0]) for rows in found.values()]
        if len(names) == 1:
            names = [""]
        names = [
            name if names.count(name) == 1 else f"{name}, {number}"
            for number, name in enumerate(names, start=1)
        ]
        return tuple(
            Place(name, tuple(rows)) for name, rows in zip(names, found.values(), strict=True)
        )

    def label(self, arm: Arm) -> str:
        """An arm's name here, with its place where there are several."""
        place = next(p for p in self.places if any(row.arm is arm for row in p.rows))
        return f"{place.label(arm)}, {place.name}" if place.name else place.label(arm)

    @cached_property
    def selections(self) -> Selections:
        return Selections(self.finished)

    @property
    def finished(self) -> tuple[Arm, ...]:
        return tuple(row.arm for row in self.compared.rows if row.arm.finished)


def _name(run: Run) -> str:
    return " with ".join(filter(None, (run.choices.get("benchmark"), run.choices.get("model"))))
