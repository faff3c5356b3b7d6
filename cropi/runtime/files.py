"""Files that are whole or absent: write beside the target, flush, rename."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill ``path.part`` and rename it to ``path`` once it is on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    write(part)
    with part.open("rb") as handle:
        os.fsync(handle.fileno())
    os.replace(part, path)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys in the order given; NaN is refused (it is not JSON)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def replace_folder(part: Path, target: Path) -> None:
    """Rename a finished folder into place, replacing what a killed process may have left."""
    if target.exists():
        shutil.rmtree(target)
    os.replace(part, target)


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
