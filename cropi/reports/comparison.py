"""Arms beside each other: how good, how sure, how much sooner, at what cost. Numbers only."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cropi.reports.acceleration import (
    Acceleration,
    Axis,
    Reached,
    Target,
    accelerations,
    reached,
    target_of,
)
from cropi.reports.arms import TARGETED, Arm, is_share
from cropi.reports.baselines import baselines, nearest
from cropi.reports.items import has_items, item_scores, mean_of
from cropi.reports.paired import Difference, difference
from cropi.reports.runs import charged_seconds
from cropi.reports.statistics import Summary, holm, iqm, stratified, summary
from cropi.runtime.errors import CropiError, did_you_mean
from cropi.types import FloatArray

SIGNIFICANT = 0.05
Scores = Mapping[int, Mapping[str, float]]  # seed -> item -> score


@dataclass(frozen=True)
class Row:
    """One arm. What is not known is None and never averaged over."""

    arm: Arm
    metric: str
    final: Summary | None  # of the metric, over seeds
    middle: tuple[float, float | None, float | None] | None  # IQM over test sets, its interval
    baseline: Arm | None  # what it is compared with
    target: Target | None  # of that baseline
    versus: Difference | None  # paired with the baseline, by seed and item
    p: float | None  # of that, corrected for all rows (Holm)
    best: bool  # highest, and significantly above every other finished row of its setting
    faster: Mapping[Axis, Acceleration] = field(default_factory=dict)
    reached: Mapping[Axis, Reached] = field(default_factory=dict)  # when it got to the target
    missing: tuple[int, ...] = ()  # seeds that others of its setting have and it does not
    is_baseline: bool = False  # others may be compared with it

    @property
    def state(self) -> str:
        """``""``, ``failed: …``, ``unfinished`` or ``incomplete``."""
        failures = [run.failure for run in self.arm.runs if run.failure is not None]
        if failures and not self.arm.finished:
            return f"failed: {failures[0]['error']}"
        if not self.arm.finished:
            return "unfinished"
        return "" if self.arm.seeds else "incomplete"

    @property
    def seconds(self) -> float:
        return float(np.mean([charged_seconds(run.cost) for run in self.arm.runs]))


@dataclass(frozen=True)
class Comparison:
    """All rows; ``baseline`` and ``target`` are the first row's that has them."""

    rows: tuple[Row, ...]
    metric: str
    baseline: Arm | None
    target: Target | None


def compare(
    arms: Sequence[Arm],
    *,
    metric: str = TARGETED,
    baseline: str | None = None,
    target: str = "plateau",
) -> Comparison:
    """Every arm against its baseline: an arm of the method or label named, else of ``full``.

    Of several it is the one of the same setting (benchmark and evaluation) and model that differs
    in the fewest keys. Raises CropiError for a baseline or a metric that is not there.
    """
    _check_metric(arms, metric)
    bases = baselines(arms, baseline)
    against = [nearest(arm, bases, named=baseline) for arm in arms]
    final = {id(arm): _final(arm, metric) for arm in arms}
    items = _Items(metric)
    pairs = [
        None if base is None or final[id(arm)] is None else difference(items[arm], items[base])
        for arm, base in zip(arms, against, strict=True)
    ]
    corrected = iter(holm([d.p for d in pairs if d is not None and d.p is not None]))
    best = _best([arm for arm in arms if final[id(arm)] is not None], final, items)
    aims = {id(base): _target(base, target, metric) for base in bases}
    wanted: dict[str, set[int]] = {}
    for arm in arms:
        wanted.setdefault(arm.setting, set()).update(arm.seeds if arm.finished else ())
    begun = {(a.setting, a.label, r.seed) for a in arms if not a.finished for r in a.runs}
    rows = []
    for arm, base, pair in zip(arms, against, pairs, strict=True):
        aim = aims.get(id(arm if base is None else base))
        p = next(corrected) if pair is not None and pair.p is not None else None
        faster: dict[Axis, Acceleration] = {}
        if base is not None and aim is not None:
            faster = accelerations(base, arm, aim)
        got = reached(arm, aim) if aim is not None else {}
        rows.append(Row(
            arm, metric, final[id(arm)], _middle(arm), base, aim, pair, p, id(arm) in best,
            faster, got, _missing(arm, wanted[arm.setting], begun), any(arm is b for b in bases),
        ))  # fmt: skip
    first = next((base for base in against if base is not None), bases[0] if bases else None)
    return Comparison(tuple(rows), metric, first, aims.get(id(first)))


def _check_metric(arms: Sequence[Arm], metric: str) -> None:
    finished = [run for arm in arms for run in arm.runs if run.result is not None]
    if not finished or any(run.final(metric) is not None for run in finished):
        return
    known = sorted({n for run in finished if run.result for n in run.result.get("metrics", {})})
    main = [name for name in known if has_items(name)]
    raise CropiError(
        f"--metric {metric}: no finished run has it{did_you_mean(metric, known)}; "
        f"there are {', '.join(main) or 'none'}{' and more' if len(known) > len(main) else ''}"
    )


def _target(base: Arm, rule: str, metric: str) -> Target | None:
    """Of a share: a metric of which less is better is not reached by growing."""
    known = is_share(metric) and base.mean_curve(metric).values.size
    return target_of(base, rule, metric) if known else None


def _of_seeds(arm: Arm, metric: str) -> dict[int, float] | None:
    """The metric at the end by seed, a mean over variants; None where a run lacks it."""
    found: dict[int, float] = {}
    for seed, runs in arm.seeds.items():
        values = [value for run in runs if (value := run.final(metric)) is not None]
        if len(values) < len(runs):
            return None
        found[seed] = float(np.mean(values))
    return found or None


def _final(arm: Arm, metric: str) -> Summary | None:
    values = _of_seeds(arm, metric) if arm.finished else None
    return summary(list(values.values())) if values else None


class _Items:
    """Item scores of arms by seed, read once, where they were kept.

    Of a metric without items a seed is one: its value.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._read: dict[int, Scores] = {}

    def __getitem__(self, arm: Arm) -> Scores:
        if id(arm) not in self._read:
            self._read[id(arm)] = self._of(arm)
        return self._read[id(arm)]

    def _of(self, arm: Arm) -> Scores:
        kept = {
            seed: scores for seed, runs in arm.seeds.items()
            if (scores := mean_of([item_scores(run, self._metric) for run in runs]))
        }
        if kept or has_items(self._metric):
            return kept
        return {seed: {"": v} for seed, v in (_of_seeds(arm, self._metric) or {}).items()}


def _middle(arm: Arm) -> tuple[float, float | None, float | None] | None:
    """Over the test sets (of every benchmark of the arm), of two or more."""
    if not arm.finished or not arm.seeds:
        return None
    rows = [
        {
            (run.variant, name): value
            for run in runs if run.result is not None
            for name, value in run.result.get("metrics", {}).items()
            if name.startswith("eval/") and "/avg@" in name
        }
        for runs in arm.seeds.values()
    ]
    shared = [name for name in rows[0] if all(name in row for row in rows)]
    if len(shared) < 2:
        return None
    scores: FloatArray = np.array([[row[name] for name in shared] for row in rows])
    low, high = stratified(scores) if len(rows) > 1 else (None, None)
    return float(iqm(scores)), low, high


def _best(
    arms: Sequence[Arm], final: Mapping[int, Summary | None], items: _Items
) -> set[int]:
    """Of each setting the highest arm, if it is significantly above every other (Holm)."""
    settings: dict[str, list[Arm]] = {}
    for arm in arms:
        settings.setdefault(arm.setting, []).append(arm)
    found = set()
    for rivals in settings.values():
        ranked = sorted(rivals, key=lambda arm: final[id(arm)].mean, reverse=True)  # type: ignore[union-attr]
        top, *others = ranked
        pairs = (difference(items[top], items[arm]) for arm in others)
        p_values = []
        for pair in pairs:
            if pair is None or pair.p is None or pair.mean <= 0 or pair.p >= SIGNIFICANT:
                break  # not above this one: the rest need not be read
            p_values.append(pair.p)
        if others and len(p_values) == len(others) and max(holm(p_values)) < SIGNIFICANT:
            found.add(id(top))
    return found


def _missing(
    arm: Arm, wanted: Iterable[int], begun: Container[tuple[str, str, int]]
) -> tuple[int, ...]:
    """Seeds of its setting of which it has nothing, finished or not; none where rows are seeds."""
    if any(text.startswith("seed=") for text in arm.details):
        return ()
    lacking = sorted(set(wanted) - set(arm.seeds) - set(arm.incomplete)) if arm.finished else []
    return tuple(seed for seed in lacking if (arm.setting, arm.label, seed) not in begun)
