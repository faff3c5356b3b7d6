"""``cropi data check``: what a benchmark holds, what was left out and why, and what overlaps."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cropi.benchmarks.label_noise import with_label_noise
from cropi.benchmarks.load_report import (
    as_json,
    digest,
    gold_lines,
    noise_line,
    overlap_lines,
    reasons,
)
from cropi.composition import Composer
from cropi.configuration import data_of
from cropi.preparation import loaded
from cropi.runtime.files import write_json

if TYPE_CHECKING:
    from rich.table import Table

    from cropi.contracts import LoadReport

PLAIN_WIDTH = 160  # columns when the output is no terminal, so that no row is broken


def main(overrides: list[str], config_dir: Path | None, json: Path | None) -> int:
    """Print the report and write it as JSON; 0 when every set is usable.

    Raises CropiError when it is not, and ConfigError for mistakes in the overrides. No model is
    loaded.
    """
    from rich.console import Console

    (job,) = Composer(config_dir=config_dir).jobs(overrides, multirun=False)
    data = data_of(job.config)
    name = str(job.config.hydra.runtime.choices.benchmark)
    try:
        prompts = loaded(data.benchmark, data.verifier, data.seed)
        prompts = with_label_noise(prompts, data.label_noise, data.seed, data.verifier)
    finally:
        data.verifier.close()
    file = json or Path(f"data-check-{name}.json")
    write_json(file, as_json(prompts.report))
    console = Console(
        width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False, markup=False
    )
    verifier = job.config.hydra.runtime.choices.verifier
    console.print(f"benchmark {name}, verifier {verifier}, seed {data.seed}\n")
    console.print(table(prompts.report))
    for line in _lines(prompts.report):
        console.print(line, soft_wrap=True)
    console.print(f"report {digest(prompts.report)}: {file}", soft_wrap=True)
    return 0


def table(report: LoadReport) -> Table:
    """Each source, then the sets with the golds that the verifier can use."""
    from rich import box
    from rich.table import Table

    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for title, side in (("", "left"), ("read", "right"), ("kept", "right")):
        result.add_column(title, justify=side, no_wrap=True)  # type: ignore[arg-type]
    result.add_column("left out")
    result.add_column("golds")
    for source, counts in report.rows.items():
        _add(result, f"source {source}", counts["read"], counts, report.golds.get(source, {}))
    result.add_section()
    for name, checked in report.sets.items():
        _add(result, f"set {name}", checked["loaded"], checked, {})
    return result


def _add(
    result: Table, name: str, read: int | str, counts: Mapping[str, Any], golds: Mapping[str, int]
) -> None:
    result.add_row(name, f"{read:,}", f"{counts['kept']:,}", reasons(counts), reasons(golds))


def _lines(report: LoadReport) -> Iterator[str]:
    yield from overlap_lines(report)
    yield ""
    yield from _examples(report.examples)
    yield from gold_lines(report)
    if report.label_noise is not None:
        yield noise_line(report.label_noise)
    if report.faults:
        yield f"rows that cannot be trusted: {len(report.faults):,}, all listed in the JSON"


def _examples(examples: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for reason, rows in examples.items():
        yield f"{reason}, for example:"
        yield from (f"  {row}" for row in rows)
