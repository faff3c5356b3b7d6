"""The prompts of a run as one Parquet file: its rollouts can be read without the data set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cropi.runtime.files import write_atomically
from cropi.types import Prompt

FILE_NAME = "prompts.parquet"


def write_prompts(folder: Path, sets: Mapping[str, Iterable[Prompt]]) -> None:
    """One row a prompt and set: set, id, question, golds, source, family, metadata (JSON)."""
    rows = [
        {
            "set": name,
            "id": prompt.id,
            "question": prompt.question,
            "golds": list(prompt.golds),
            "source": prompt.source,
            "family": prompt.family,
            "metadata": json.dumps(dict(prompt.metadata), ensure_ascii=False),
        }
        for name, prompts in sets.items()
        for prompt in prompts
    ]
    table = pa.Table.from_pylist(rows)
    write_atomically(folder / FILE_NAME, lambda part: pq.write_table(table, part))


def read_prompt(folder: Path, prompt_id: str) -> Prompt | None:
    """The prompt with this id, or None when the run does not know it."""
    rows = pq.read_table(folder / FILE_NAME, filters=[("id", "=", prompt_id)]).to_pylist()
    if not rows:
        return None
    row = rows[0]
    return Prompt(
        row["id"], row["question"], tuple(row["golds"]), row["source"], row["family"],
        json.loads(row["metadata"]),
    )
