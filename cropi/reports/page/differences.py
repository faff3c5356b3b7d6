"""What the configurations of the rows differ in, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from cropi.reports.page.section import Line, Numbers, Section
from cropi.reports.runs import Run
from cropi.tracking.flatten import flatten

WIDE = 6  # keys: more of them are lines, not columns
TEXT = (
    "Every key, but for the seed, on which two of these configurations differ. A dot: there is no "
    "such key."
)


def section(runs: Sequence[Run]) -> Section:
    variants: dict[str, list[Run]] = {}
    for run in runs:
        variants.setdefault(run.variant, []).append(run)
    flats = [flatten(same[0].config) for same in variants.values()]
    keys = [key for key in dict.fromkeys(k for flat in flats for k in flat) if key != "seed"]
    varied = [key for key in keys if len({str(flat.get(key)) for flat in flats}) > 1]
    if not varied:
        why = "a comparison of configurations, as all runs have the same but for the seed"
        return Section("differences", "Configurations", absent=why)
    return Section("differences", "Configurations", TEXT, (), _table(variants, flats, varied))


def _table(
    variants: dict[str, list[Run]], flats: Sequence[dict[str, object]], varied: Sequence[str]
) -> Numbers:
    names = [f"{same[0].method}, {_seeds(same)}" for same in variants.values()]
    values = [[str(flat.get(key, "·")) for key in varied] for flat in flats]
    if len(varied) > WIDE:
        lines = [Line([key, *of], ()) for key, of in zip(varied, zip(*values, strict=True),
                                                         strict=True)]
        return Numbers(("key", *names), lines)
    rows = zip(names, values, variants.values(), strict=True)
    return Numbers(("row", *varied), [Line([name, *of], same) for name, of, same in rows])


def _seeds(runs: Sequence[Run]) -> str:
    found = sorted({run.seed for run in runs})
    return f"seed{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"
