"""From what sources yield to a loaded benchmark: clean, compare, split, limit, account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cropi.benchmarks.cleaning import keys_of, limited, unique, without_shared
from cropi.benchmarks.ledger import Ledger, Row, read_rows
from cropi.benchmarks.load_report import describe
from cropi.benchmarks.near_overlaps import grams, without_near
from cropi.contracts import Dropped, LoadReport, Prompts, TestSet
from cropi.runtime.errors import DataError
from cropi.runtime.seeds import stream
from cropi.types import Prompt

Overlap = Literal["error", "drop", "warn"]
Items = Mapping[str, Iterable[Prompt | Dropped]]  # set or source name -> what it yields


@dataclass(frozen=True)
class Rules:
    """How sets are put together; the options of Composed of the same names."""

    targeted: Sequence[str]
    validation_share: float = 0.0
    overlap: Overlap = "drop"
    near_overlap: Overlap = "warn"
    pool_limit: int | None = None
    test_limit: int | None = None


def assemble(train: Items, validation: Items, tests: Items, rules: Rules, seed: int) -> Prompts:
    """The pool, the validation sets and the test sets.

    Test rows are never dropped for an overlap. Raises DataError when a set ends up empty, or when
    sets overlap and ``rules.overlap`` (or ``rules.near_overlap``) is error.
    """
    ledger = Ledger()
    everything = [
        row for name, items in train.items() for row in read_rows(f"train/{name}", items, ledger)
    ]
    pool = unique(everything, ledger)
    held_out = {
        f"{part}/{name}": unique(read_rows(f"{part}/{name}", items, ledger), ledger)
        for part, sets in (("validation", validation), ("test", tests))
        for name, items in sets.items()
    }
    # The pool is compared with whole test sets, so that it does not change with the split.
    drop, drop_near = rules.overlap == "drop", rules.near_overlap == "drop"
    others = {name: keys_of(rows) for name, rows in held_out.items()}
    pool = without_shared("train", pool, others, ledger, drop=drop)
    near = {name: (rows, grams(rows)) for name, rows in held_out.items()}
    pool = without_near("train", pool, near, ledger, drop=drop_near)

    reported: dict[str, list[Row]] = {}
    guiding = {name: held_out[f"validation/{name}"] for name in validation}
    for name in tests:
        reported[name] = held_out[f"test/{name}"]
        if name not in validation and rules.validation_share > 0.0:
            reported[name], aside = split(name, reported[name], rules.validation_share, seed)
            for row in aside:
                ledger.drop(row.origin, "set aside for validation")
            if name in rules.targeted:
                guiding[name] = aside
    others = {f"test/{name}": keys_of(rows) for name, rows in reported.items()}
    near = {f"test/{name}": (rows, grams(rows)) for name, rows in reported.items()}
    for name, rows in guiding.items():
        part = f"validation/{name}"
        rest = without_shared(part, rows, others, ledger, drop=drop)
        guiding[name] = without_near(part, rest, near, ledger, drop=drop_near)

    pool = limited(pool, rules.pool_limit, ledger)
    reported = {name: limited(rows, rules.test_limit, ledger) for name, rows in reported.items()}
    report = ledger.report()
    _check({"train": pool, **guiding}, reported, rules, report)
    return Prompts(
        pool=_prompts(pool),
        validation={name: _prompts(rows) for name, rows in guiding.items()},
        tests={
            name: TestSet(_prompts(rows), targeted=name in rules.targeted)
            for name, rows in reported.items()
        },
        report=report,
    )


def split(
    name: str, rows: Sequence[Row], share: float, seed: int
) -> tuple[list[Row], list[Row]]:
    """A test set's reported rows, and the share set aside, each in the order of the source."""
    # Drawn over the sorted ids: a row that moves in its file stays on its side.
    ids = sorted(row.prompt.id for row in rows)
    order = stream(seed, "validation split", name).permutation(len(ids))
    aside = {ids[index] for index in order[: max(1, round(share * len(ids)))]}
    return (
        [row for row in rows if row.prompt.id not in aside],
        [row for row in rows if row.prompt.id in aside],
    )


def _check(
    used: Mapping[str, Sequence[Row]],
    reported: Mapping[str, Sequence[Row]],
    rules: Rules,
    report: LoadReport,
) -> None:
    shown = "\n".join(f"  {line}" for line in describe(report))
    empty = [name for name, rows in used.items() if not rows]
    empty += [f"test/{name}" for name, rows in reported.items() if not rows]
    if empty:
        raise DataError(f"nothing is left of {', '.join(empty)}:\n{shown}")
    for option, asked, found in (
        ("overlap", rules.overlap, any(report.overlaps.values())),
        ("near_overlap", rules.near_overlap, any(pair["rows"] for pair in report.near.values())),
    ):
        if asked == "error" and found:
            raise DataError(
                f"sets overlap; benchmark.{option}=drop leaves such rows out of training and "
                f"validation:\n{shown}"
            )


def _prompts(rows: Sequence[Row]) -> tuple[Prompt, ...]:
    return tuple(row.prompt for row in rows)
