"""Accuracy on every test set by itself: what was aimed at, and what came along."""

from __future__ import annotations

from cropi.reports.arms import Arm
from cropi.reports.formats import mean_and_deviation
from cropi.reports.page.findings import Findings
from cropi.reports.page.section import Line, Numbers, Section
from cropi.reports.statistics import summary

TEXT = (
    "Accuracy in percent at the end, mean ± sample standard deviation over seeds. Only sets marked "
    "as targeted had a validation set that could guide a selection; the others show what comes "
    "along, or gets lost."
)


def section(found: Findings) -> Section:
    arms = [arm for arm in found.finished if arm.seeds]
    sets = list(dict.fromkeys(
        name for arm in arms for run in arm.runs if run.result is not None
        for name in run.result.get("metrics", {}) if "/avg@" in name
    ))  # fmt: skip
    if len(sets) < 2:
        why = "accuracy by test set, as there is one test set at most in a finished run"
        return Section("test-sets", "Test sets", absent=why)
    targeted = {name for arm in arms for run in arm.runs for name in run.targeted}
    headings = [
        f"{short} (targeted)" if short in targeted else short
        for short in (name.removeprefix("eval/").partition("/avg@")[0] for name in sets)
    ]
    lines = [Line([found.label(arm), *(_shown(arm, name) for name in sets)], arm.runs)
             for arm in arms]
    return Section("test-sets", "Test sets", TEXT, (), Numbers(("row", *headings), lines))


def _shown(arm: Arm, metric: str) -> str:
    values = [value for run in arm.runs if (value := run.final(metric)) is not None]
    return mean_and_deviation(summary(values)) if values else "-"
