"""Is a gradient store the one that is asked for? What differs is named key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cropi.runtime.errors import DataError
from cropi.runtime.files import read_json

SCHEMA_VERSION = 1
_ABSENT = object()


def check_header(path: Path, header: Mapping[str, Any]) -> None:
    """Raises DataError when the header in ``path`` is damaged or not this one (JSON values)."""
    folder = path.parent
    try:
        stored = read_json(path)
    except ValueError as error:
        raise DataError(
            f"{path} is damaged ({error}); move {folder} away to compute its gradients again"
        ) from error
    if stored.get("schema_version") != SCHEMA_VERSION:
        raise DataError(
            f"{path}: schema version {stored.get('schema_version')}, this cropi reads "
            f"{SCHEMA_VERSION}; move {folder} away to compute its gradients again"
        )
    if odd := list(differences(stored, header)):
        raise DataError(
            f"{folder} holds gradients of something else ({'; '.join(odd)}); "
            f"move it away to compute them again"
        )


def differences(was: Any, now: Any, key: str = "") -> Iterator[str]:
    """``a.b was 1, is 2`` for each dotted key at which two JSON values differ."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in sorted({*was, *now}):
            yield from differences(
                was.get(name, _ABSENT), now.get(name, _ABSENT), f"{key}.{name}" if key else name
            )
    elif was != now:
        yield f"{key} was {_shown(was)}, is {_shown(now)}"


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
