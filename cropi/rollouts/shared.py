"""Rollouts that several runs need: drawn by the first, waited for and taken over by the others.

Runs that agree on policy, prompts, sampling, verifier and seed would draw the same, to the bit.
Each is still charged what they cost.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cropi.rollouts.store import INDEX

log = logging.getLogger(__name__)


def place(runs: Path, name: str, identity: Mapping[str, Any]) -> Path:
    """The folder, among all runs, of a set's rollouts: ``runs/shared/train-0123456789abcdef``."""
    text = json.dumps([name, identity], sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return runs / "shared" / f"{name.replace('/', '-')}-{digest}"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold ``folder``, waiting for whoever does. The lock dies with its process."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        log.info("waiting for another run that draws the same rollouts: %s", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def take_over(source: Path, target: Path) -> None:
    """All shards of ``source`` in ``target`` too, the index last; linked where the disk can."""
    target.mkdir(parents=True, exist_ok=True)
    shards = sorted(path for path in source.iterdir() if path.suffix == ".parquet")
    for path in [*shards, source / INDEX]:
        part = target / f"{path.name}.part"
        part.unlink(missing_ok=True)
        try:
            os.link(path, part)
        except OSError:  # another disk, or one without links
            shutil.copy2(path, part)
        os.replace(part, target / path.name)
