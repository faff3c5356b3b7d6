"""What β did, once and for all: sharded Parquet files with an index, readable by anyone.

One row a trajectory. A shard is written beside its place and renamed when whole; the index lists
the whole ones with their checksums, so a killed run loses one shard at most.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cropi.runtime.errors import DataError
from cropi.runtime.files import file_digest, read_json, write_atomically, write_json
from cropi.types import Cost, Group, Trajectory, Verdict

SCHEMA_VERSION = 2
SCHEMA = pa.schema([
    ("prompt_id", pa.string()),
    ("sample", pa.int32()),
    ("prompt_token_ids", pa.list_(pa.int32())),
    ("temperature", pa.float64()),
    ("token_ids", pa.list_(pa.int32())),
    ("log_probs", pa.list_(pa.float32())),
    ("finish", pa.string()),
    ("text", pa.string()),
    ("reward", pa.float64()),  # null when not scorable
    ("status", pa.string()),
    ("method", pa.string()),
    ("extracted", pa.string()),
    ("parts", pa.string()),  # JSON of the rewards a reward was put together from; null for none
])
LISTS = ("prompt_token_ids", "token_ids", "log_probs")  # columns of one list a row
INDEX = "index.json"
log = logging.getLogger(__name__)


class RolloutStore:
    """The shards of one set of prompts. ``identity`` (JSON) says what they are rollouts of.

    Opening a store made for another identity is refused with the differing keys named.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        self.index_path = folder / INDEX
        if self.index_path.exists():
            self.index = read_json(self.index_path)
            self._check(identity)
        else:
            self.index = {
                "schema_version": SCHEMA_VERSION, "identity": dict(identity), "shards": {}
            }

    @classmethod
    def open(cls, folder: Path) -> RolloutStore:
        """The store that stands there, whatever it holds rollouts of."""
        return cls(folder, read_json(folder / INDEX)["identity"])

    def _check(self, identity: Mapping[str, Any]) -> None:
        version = self.index.get("schema_version")
        if version != SCHEMA_VERSION:
            raise DataError(
                f"{self.index_path}: schema version {version}, this cropi reads {SCHEMA_VERSION}; "
                f"move {self.folder} away to draw the rollouts again"
            )
        stored = self.index["identity"]
        odd = [k for k in {*stored, *identity} if stored.get(k) != identity.get(k)]
        if odd:
            details = "; ".join(
                f"{k} was {stored.get(k)!r}, is {identity.get(k)!r}" for k in sorted(odd)
            )
            raise DataError(
                f"{self.folder} holds rollouts of something else ({details}); "
                f"move it away to draw them again"
            )

    def has(self, shard: int) -> bool:
        """Whether the shard is there and whole; one that is not is drawn again, with a warning."""
        entry = self.index["shards"].get(str(shard))
        if entry is None:
            return False
        path = self.folder / entry["file"]
        if path.exists() and file_digest(path) == entry["sha256"]:
            return True
        log.warning("%s is missing or damaged; its prompts are drawn again", path)
        return False

    def write(self, shard: int, groups: Sequence[Group], cost: Cost) -> None:
        """Add a whole shard with what it cost."""
        path = self.folder / f"part-{shard:05d}.parquet"
        write_shard(path, groups)
        self.index["shards"][str(shard)] = {
            "file": path.name,
            "prompts": len(groups),
            "trajectories": sum(len(group.trajectories) for group in groups),
            "sha256": file_digest(path),
            "cost": cost.amounts,
        }
        write_json(self.index_path, self.index)

    def groups(self) -> Iterator[Group]:
        """All groups, shard by shard, in the order they were written."""
        for shard in sorted(self.index["shards"], key=int):
            yield from read_shard(self.folder / self.index["shards"][shard]["file"])

    @property
    def cost(self) -> Cost:
        """What all shards cost together, over every start of the run."""
        return sum((Cost(s["cost"]) for s in self.index["shards"].values()), Cost())


def write_shard(path: Path, groups: Sequence[Group]) -> None:
    """A Parquet file of whole groups that is there whole or not at all."""
    table = pa.Table.from_pylist(list(_rows(groups)), schema=SCHEMA)
    write_atomically(path, lambda part: pq.write_table(table, part, compression="zstd"))


def _rows(groups: Sequence[Group]) -> Iterator[dict[str, Any]]:
    for group in groups:
        for sample, trajectory in enumerate(group.trajectories):
            verdict = trajectory.verdict
            yield {
                "prompt_id": group.prompt_id,
                "sample": sample,
                "prompt_token_ids": group.prompt_token_ids,
                "temperature": group.temperature,
                "token_ids": trajectory.token_ids,
                "log_probs": trajectory.log_probs,
                "finish": trajectory.finish,
                "text": trajectory.text,
                "reward": trajectory.reward,
                "status": verdict.status if verdict else None,
                "method": verdict.method if verdict else None,
                "extracted": verdict.extracted if verdict else None,
                "parts": json.dumps(dict(verdict.parts)) if verdict and verdict.parts else None,
            }


def read_shard(path: Path) -> list[Group]:
    """The groups of one Parquet shard; rows of a group stand together. Raises DataError."""
    try:
        table = pq.read_table(path, schema=SCHEMA)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path} cannot be read: {error}; "
            f"restore it, or move the run's folder away to start anew"
        ) from error
    prompts, tokens, log_probs = (_lists(table[name]) for name in LISTS)
    names = [name for name in SCHEMA.names if name not in LISTS]
    groups: list[Group] = []
    collected: list[Trajectory] = []
    rows = table.select(names).to_pylist()
    for place, row in enumerate(rows):
        verdict = None
        if row["status"] is not None:
            verdict = Verdict(
                row["reward"], row["status"], row["method"], row["extracted"],
                parts=json.loads(row["parts"] or "{}"),
            )  # fmt: skip
        collected.append(
            Trajectory(tokens[place], log_probs[place], row["finish"], row["text"], verdict)
        )
        if place + 1 == len(rows) or rows[place + 1]["sample"] == 0:
            groups.append(
                Group(row["prompt_id"], prompts[place], tuple(collected), row["temperature"])
            )
            collected = []
    return groups


def _lists(column: pa.ChunkedArray) -> list[np.ndarray]:
    """The rows of a list column as numpy views of one flat array (no Python object a token)."""
    if column.num_chunks == 0:
        return []
    array = pa.concat_arrays(column.chunks)
    flat = array.flatten().to_numpy(zero_copy_only=False)
    offsets = array.offsets.to_numpy() - array.offsets[0].as_py()
    return [flat[start:stop] for start, stop in pairwise(offsets)]
