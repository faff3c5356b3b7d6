"""A nested config as flat, dotted names, without anything that looks like a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cropi.contracts import SECRET


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """``{"selector": {"alpha": 0.1}}`` becomes ``{"selector.alpha": 0.1}``.

    Lists of plain values stay whole; other lists are numbered (``sources.0.path``). Names that
    look like a secret's (``contracts.SECRET``) are dropped with all they hold.
    """
    flat: dict[str, Any] = {}
    for name, value in config.items():
        _add(flat, str(name), value)
    return flat


def _add(flat: dict[str, Any], name: str, value: Any) -> None:
    if SECRET.search(name):
        return
    if isinstance(value, Mapping):
        for child, item in value.items():
            _add(flat, f"{name}.{child}", item)
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            _add(flat, f"{name}.{index}", item)
    else:
        flat[name] = value
