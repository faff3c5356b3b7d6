"""Selections on disk: a file that a person can read, and every score beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cropi.runtime.errors import DataError
from cropi.runtime.files import write_atomically
from cropi.types import Prompt, Scores, Selection

SELECTION = "selection.jsonl"
SCORES = "scores.parquet"


def write_selection(
    folder: Path, selection: Selection, scores: Scores, prompts: Mapping[str, Prompt]
) -> None:
    """``scores.parquet`` (one row a prompt of the pool) and ``selection.jsonl`` (best first)."""
    chosen = set(selection.ids)
    table = pa.table({
        "prompt_id": list(scores.ids),
        "score": scores.values,
        "valid": scores.valid,
        "selected": [prompt_id in chosen for prompt_id in scores.ids],
        **{f"component/{name}": column for name, column in scores.components.items()},
    })
    write_atomically(folder / SCORES, lambda part: pq.write_table(table, part))
    place = {prompt_id: i for i, prompt_id in enumerate(scores.ids)}
    lines = []
    rows = zip(selection.ids, selection.weights, selection.reasons, strict=True)
    for rank, (prompt_id, weight, reason) in enumerate(rows, start=1):
        i, prompt = place[prompt_id], prompts[prompt_id]
        lines.append({
            "rank": rank,
            "id": prompt_id,
            "score": float(scores.values[i]),
            "weight": weight,
            "reason": reason,
            "components": {name: _plain(c[i].item()) for name, c in scores.components.items()},
            "source": prompt.source,
            "family": prompt.family,
            "question": prompt.question,
            "golds": list(prompt.golds),
            "budget": selection.budget,
        })
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_atomically(folder / SELECTION, lambda part: part.write_text(text, encoding="utf-8"))


def _plain(value: Any) -> Any:
    """JSON has no NaN: a component that is undefined for a prompt is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The lines of a selection file. Raises DataError when there is none."""
    path = folder / SELECTION
    if not path.exists():
        raise DataError(f"{path} does not exist: no selection was made for this phase")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_selection(folder: Path) -> Selection:
    """The selection that ``write_selection`` wrote."""
    rows = read_rows(folder)
    return Selection(
        ids=tuple(row["id"] for row in rows),
        weights=tuple(row["weight"] for row in rows),
        reasons=tuple(row["reason"] for row in rows),
        budget=rows[0]["budget"],
    )


def read_scores(folder: Path) -> Scores:
    """The scores that ``write_selection`` wrote."""
    table = pq.read_table(folder / SCORES)
    prefix = "component/"
    return Scores(
        ids=tuple(table["prompt_id"].to_pylist()),
        values=table["score"].to_numpy(),
        valid=table["valid"].to_numpy(),
        components={
            name.removeprefix(prefix): table[name].to_numpy()
            for name in table.column_names if name.startswith(prefix)
        },
    )


def selection_metrics(
    scores: Scores, selection: Selection, earlier: Sequence[Selection]
) -> dict[str, float]:
    """What to log of a phase's choice.

    ``overlap_last`` is the share of this selection that stood in the last one; ``seen_share`` the
    share of the pool chosen in any phase so far.
    """
    valid = scores.values[scores.valid]
    chosen = set(selection.ids)
    metrics: dict[str, float] = {
        **{f"selection/{name}": value for name, value in scores.metrics.items()},
        "selection/kept": len(selection.ids),
        "selection/budget": selection.budget,
        "selection/pool": len(scores.ids),
        "selection/undefined": int((~scores.valid).sum()),
    }
    if valid.size:
        quantiles = np.quantile(valid, [0.0, 0.1, 0.5, 0.9, 1.0])
        names = ("min", "q10", "median", "q90", "max")
        metrics |= {
            f"selection/score_{n}": float(q) for n, q in zip(names, quantiles, strict=True)
        }
    if earlier:
        metrics["selection/overlap_last"] = len(chosen & set(earlier[-1].ids)) / len(chosen)
    seen = chosen.union(*(s.ids for s in earlier))
    metrics["selection/seen_share"] = len(seen) / len(scores.ids)
    return metrics
