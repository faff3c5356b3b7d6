"""A sweep for people: the plan before it runs, and what became of its jobs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from cropi.reports.details import compact
from cropi.runtime.files import read_json
from cropi.sweeping.jobs import Sweep
from cropi.sweeping.planning import Planned
from cropi.sweeping.process import command_of, log_of
from cropi.sweeping.running import Ending

PLAIN_WIDTH = 120  # columns when the output is no terminal


def show_plan(plan: Sequence[Planned], slots: int) -> None:
    """The jobs, what differs, how far they are, and what the missing ones may cost."""
    keys = list(dict.fromkeys(key for planned in plan for key in planned.differs))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("job", *keys, "state", "estimate", "run"):
        table.add_column(heading, overflow="fold")
    for number, planned in enumerate(plan, start=1):
        values = [planned.differs.get(key, "") for key in keys]
        table.add_row(str(number), *values, planned.state, _cost(planned), planned.job.name)
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    console.print(table)
    console.print(_total(plan, slots), soft_wrap=True)


def _cost(planned: Planned) -> str:
    estimate = planned.estimate
    if planned.state == "finished" or not estimate.runs:
        return "-"
    return f"{_time(estimate.seconds)}, {compact(estimate.tokens)} tokens"


def _total(plan: Sequence[Planned], slots: int) -> str:
    missing = [planned for planned in plan if planned.state != "finished"]
    known = [planned.estimate for planned in missing if planned.estimate.runs]
    done = f"{len(plan) - len(missing)} done, {len(missing)} to run"
    if not known:
        return f"{done}; no finished run to estimate from"
    seconds = sum(e.seconds for e in known) * len(missing) / len(known) / slots
    tokens = sum(e.tokens for e in known) * len(missing) / len(known)
    basis = max(estimate.runs for estimate in known)
    return (
        f"{done}: about {_time(seconds)} and {compact(tokens)} tokens, going by {basis} finished "
        f"run{'s' if basis > 1 else ''} like these (without loading and evaluation)"
    )


def _time(seconds: float) -> str:
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def sum_up(sweep: Sweep, endings: Sequence[Ending]) -> None:
    """The table of what is finished, then every job that is not, with how to run it again."""
    ran = [e for e in endings if e.status in ("finished", "done before")]
    studies = [
        said["study"] for e in ran if sweep.outcome(e.number).exists()
        and (said := read_json(sweep.outcome(e.number))).get("study")
    ]
    if studies:
        print(*dict.fromkeys(studies), sep="\n")
    folders = dict.fromkeys(
        Path(sweep.jobs[e.number].folder) for e in ran
        if sweep.jobs[e.number].config.get("study") is None
    )
    if folders:
        from cropi.reports.results import main as show_results

        show_results(list(folders))
        print(*folders, sep="\n")
    before = sum(ending.status == "done before" for ending in endings)
    earlier = f", {before} before" if before else ""
    print(f"\n{len(ran)} of {len(endings)} jobs finished{earlier}")
    for ending in endings:
        job = sweep.jobs[ending.number]
        if ending.status == "failed":
            print(f"failed: {ending.error}\n  log:   {log_of(job)}\n  again: {command_of(job)}")
        elif ending.status == "skipped":
            print(f"not started: {command_of(job)}")
