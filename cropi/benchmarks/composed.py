"""A benchmark put together from sources: a training pool, validation sets and test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from cropi.benchmarks.cleaning import (
    Ledger,
    Row,
    keys_of,
    limited,
    read_rows,
    unique,
    without_shared,
)
from cropi.benchmarks.load_report import describe
from cropi.contracts import Benchmark, PositiveInt, Prompts, Source, TestSet
from cropi.runtime.errors import DataError
from cropi.runtime.parts import part
from cropi.runtime.seeds import stream
from cropi.types import Prompt


@part
class Composed(Benchmark):
    """Sources by name. A test set is targeted when a validation set of its name guides selection.

    That validation set is either a source of its own under ``validation``, or cut from the test
    set: ``validation_share`` of every test set without one is set aside and never reported,
    whether or not the set is targeted, so that reported rows do not depend on what is targeted.
    """

    train: dict[str, Source]
    tests: dict[str, Source]
    max_new_tokens: PositiveInt
    max_prompt_tokens: PositiveInt
    validation: dict[str, Source] = Field(default_factory=dict)
    validation_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    targeted: list[str] = Field(default_factory=list)
    overlap: Literal["error", "drop", "warn"] = "drop"
    pool_limit: PositiveInt | None = None
    test_limit: PositiveInt | None = None
    data: str | None = None  # only for paths in the configuration to refer to

    def __post_init__(self) -> None:
        if not self.train or not self.tests:
            raise ValueError("train and tests need at least one source each")
        for name in self.targeted:
            if name not in self.tests:
                raise ValueError(f"targeted names {name!r}, tests are {', '.join(self.tests)}")
            if name not in self.validation and self.validation_share == 0.0:
                raise ValueError(
                    f"targeted names {name!r}, which needs validation.{name} or a "
                    f"validation_share above 0"
                )
        silent = [name for name in self.validation if name in self.tests]
        if not set(silent) <= set(self.targeted):
            raise ValueError(
                f"validation guides the selection towards {', '.join(silent)}: "
                f"name them in targeted too"
            )

    def load(self, seed: int) -> Prompts:
        """Read, clean, split. Raises DataError when a set ends up empty or overlaps are errors."""
        ledger = Ledger()
        pool = unique(self._read("train", self.train, ledger), ledger)
        tests = {
            name: unique(read_rows(f"test/{name}", source, ledger), ledger)
            for name, source in self.tests.items()
        }
        validation = {
            name: unique(read_rows(f"validation/{name}", source, ledger), ledger)
            for name, source in self.validation.items()
        }
        # The pool is compared with whole test sets, so that it does not change with the split.
        drop = self.overlap == "drop"
        others = _named("test", tests) | _named("validation", validation)
        pool = without_shared("train", pool, others, ledger, drop=drop)
        for name, rows in tests.items():
            if name not in self.validation and self.validation_share > 0.0:
                tests[name], aside = self._split(name, rows, seed, ledger)
                if name in self.targeted:
                    validation[name] = aside
        for name, rows in validation.items():
            validation[name] = without_shared(
                f"validation/{name}", rows, _named("test", tests), ledger, drop=drop
            )
        pool = limited(pool, self.pool_limit, ledger)
        tests = {name: limited(rows, self.test_limit, ledger) for name, rows in tests.items()}
        return self._checked(pool, validation, tests, ledger)

    def _read(self, part_name: str, sources: Mapping[str, Source], ledger: Ledger) -> list[Row]:
        return [
            row
            for name, source in sources.items()
            for row in read_rows(f"{part_name}/{name}", source, ledger)
        ]

    def _split(
        self, name: str, rows: Sequence[Row], seed: int, ledger: Ledger
    ) -> tuple[list[Row], list[Row]]:
        """Reported rows and those set aside, each in the order of the source."""
        aside = max(1, round(self.validation_share * len(rows)))
        # Drawn over the sorted ids: a row that moves in its file stays on its side.
        ids = sorted(row.prompt.id for row in rows)
        order = stream(seed, "validation split", name).permutation(len(ids))
        chosen = {ids[index] for index in order[:aside]}
        for row in rows:
            if row.prompt.id in chosen:
                ledger.drop(row.origin, "set aside for validation")
        return (
            [row for row in rows if row.prompt.id not in chosen],
            [row for row in rows if row.prompt.id in chosen],
        )

    def _checked(
        self,
        pool: Sequence[Row],
        validation: Mapping[str, Sequence[Row]],
        tests: Mapping[str, Sequence[Row]],
        ledger: Ledger,
    ) -> Prompts:
        report = ledger.report()
        sets = {"train": pool, **_prefixed("validation", validation), **_prefixed("test", tests)}
        account = "\n".join(describe(report))
        for name, rows in sets.items():
            if not rows:
                raise DataError(f"nothing is left of {name}:\n{account}")
        if self.overlap == "error" and any(report.overlaps.values()):
            raise DataError(
                f"sets overlap; benchmark.overlap=drop leaves such rows out of training and "
                f"validation:\n{account}"
            )
        return Prompts(
            pool=_prompts(pool),
            validation={name: _prompts(rows) for name, rows in validation.items()},
            tests={
                name: TestSet(_prompts(rows), targeted=name in self.targeted)
                for name, rows in tests.items()
            },
            report=report,
        )


def _prompts(rows: Sequence[Row]) -> tuple[Prompt, ...]:
    return tuple(row.prompt for row in rows)


def _prefixed(prefix: str, sets: Mapping[str, Sequence[Row]]) -> dict[str, Sequence[Row]]:
    return {f"{prefix}/{name}": rows for name, rows in sets.items()}


def _named(prefix: str, sets: Mapping[str, Sequence[Row]]) -> dict[str, set[str]]:
    return {name: keys_of(rows) for name, rows in _prefixed(prefix, sets).items()}
