"""Item-level outcomes of runs: what a comparison is paired by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from cropi.reports.runs import Run

EVALUATIONS = "evaluations"


def item_scores(run: Run, metric: str) -> Mapping[str, float]:
    """Mean correctness of every item of the last evaluation, by ``set/prompt id``.

    Of the sets that the metric is a mean of: ``eval/targeted``, ``eval/untargeted``, ``eval/all``
    or ``eval/SET/avg@K``; of no other metric are there items. Those that cannot be scored are
    left out.
    """
    return {
        f"{name}/{item}": score
        for name, path in _files(run).items() if _counts(run, name, metric)
        for item, score in _means(path).items()
    }


def has_items(metric: str) -> bool:
    """Whether the metric is a mean over items."""
    return metric in ("eval/targeted", "eval/untargeted", "eval/all") or "/avg@" in metric


def _files(run: Run) -> dict[str, Path]:
    """The outcomes of the last evaluation, by test set (their names are quoted in the files')."""
    folders = sorted((run.folder / EVALUATIONS).glob("step-*"))
    return {unquote(p.stem): p for p in sorted(folders[-1].glob("*.parquet"))} if folders else {}


def _means(path: Path) -> dict[str, float]:
    """As ``read_outcomes(path).item_scores()``, without the rest of it: ten times as fast."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        right = "correctness" if "correctness" in file.schema_arrow.names else "reward"
        table = file.read(columns=["prompt_id", right], use_threads=False)
    items = table["prompt_id"].combine_chunks().dictionary_encode()
    scores = table[right].to_numpy().astype(np.float64)  # null is NaN
    known = ~np.isnan(scores)
    at, size = items.indices.to_numpy()[known], len(items.dictionary)
    counts = np.bincount(at, minlength=size)
    sums = np.bincount(at, weights=scores[known], minlength=size)
    found = zip(items.dictionary.to_pylist(), sums.tolist(), counts.tolist(), strict=True)
    return {item: total / count for item, total, count in found if count}


def _counts(run: Run, name: str, metric: str) -> bool:
    if metric == "eval/all":
        return True
    if metric in ("eval/targeted", "eval/untargeted"):
        return (name in run.targeted) is (metric == "eval/targeted")
    return metric.rpartition("/")[0] == f"eval/{name}" and "/avg@" in metric


def mean_of(scores: list[Mapping[str, float]]) -> dict[str, float]:
    """Mean score of every item that all of them have."""
    if len(scores) == 1:
        return dict(scores[0])
    shared = set.intersection(*(set(each) for each in scores))
    return {item: float(np.mean([each[item] for each in scores])) for item in sorted(shared)}
