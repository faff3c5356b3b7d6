"""Offline files of W&B, read back without W&B: a LevelDB log of protobuf records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK = 32768


def records(path: Path) -> Iterator[wandb_internal_pb2.Record]:
    """The records of a ``.wandb`` file: 7 header bytes, then a LevelDB log of 32 KiB blocks.

    What a killed process left of its last record is passed over.
    """
    data = path.read_bytes()
    position, pieces = 7, b""
    while position + 7 <= len(data):
        left = BLOCK - position % BLOCK
        if left < 7:
            position += left
            continue
        length = int.from_bytes(data[position + 4 : position + 6], "little")
        kind = data[position + 6]
        if position + 7 + length > len(data):
            return
        pieces += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            yield wandb_internal_pb2.Record.FromString(pieces)
            pieces = b""


@dataclass
class Read:
    """What W&B would be told of one run folder, all its files together."""

    ids: set[str] = field(default_factory=set)
    group: str = ""
    job_type: str = ""
    name: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_codes: list[int] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """History rows without what W&B adds itself."""
        return [
            {name: value for name, value in row.items() if not name.startswith("_")}
            for row in self.history
        ]


def read_run(folder: Path) -> Read:
    """Everything in the ``wandb`` folder of a run."""
    found = Read()
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for record in records(file):
            match record.WhichOneof("record_type"):
                case "run":
                    run = record.run
                    found.ids.add(run.run_id)
                    found.group, found.job_type = run.run_group, run.job_type
                    found.name, found.tags = run.display_name, list(run.tags)
                    found.config |= {u.key: json.loads(u.value_json) for u in run.config.update}
                case "config":
                    found.config |= {
                        u.key: json.loads(u.value_json) for u in record.config.update if u.key
                    }
                case "history":
                    found.history.append(_items(record.history.item))
                case "summary":
                    found.summary |= _items(record.summary.update)
                case "exit":
                    found.exit_codes.append(record.exit.exit_code)
    return found


def _items(items: Any) -> dict[str, Any]:
    return {(i.key or ".".join(i.nested_key)): json.loads(i.value_json) for i in items}
