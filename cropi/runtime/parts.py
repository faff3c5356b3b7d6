"""The registry: a part is a class plus one YAML, and the YAML's ``_target_`` names the class.

``@part`` turns a class into a validated, keyword-only pydantic dataclass: its annotated fields
are its options. ``build`` makes the part a config node describes, after checking that the target
really is a part of the expected kind (so a config cannot call anything else), that every key is
an option of it, and that every value has the right type and range. All mistakes of a node are
reported together, each with its config key.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from cropi.runtime.errors import ConfigError, did_you_mean

P = TypeVar("P")


class Part:
    """Marks what a config may build. Every kind of part (Selector, Trainer, …) derives from it."""


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(Field,))
def part(cls: type[P]) -> type[P]:
    """Class decorator: annotated fields become keyword-only, strictly validated options."""
    config = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)
    return pydantic_dataclass(config=config, kw_only=True, eq=False)(cls)  # type: ignore[return-value]


def options_of(cls: type) -> list[str]:
    """The names of a part's options, in order."""
    return [f.name for f in fields(cls) if f.init]


def build(node: Any, expected: type[P], key: str) -> P:
    """The part that ``node`` (a resolved mapping with ``_target_``) describes.

    Raises ConfigError naming ``key.option`` for each mistake found in the node and its children.
    """
    problems: list[str] = []
    built = _build(node, expected, key, problems)
    if problems:
        raise ConfigError(problems)
    return built


def _build(node: Any, expected: type, key: str, problems: list[str]) -> Any:
    if not isinstance(node, Mapping) or "_target_" not in node:
        problems.append(f"{key}: expected a group option with a _target_, got {node!r}")
        return None
    cls = _locate(str(node["_target_"]), expected, key, problems)
    if cls is None:
        return None
    given = {name: value for name, value in node.items() if name != "_target_"}
    known = options_of(cls)
    for name in [name for name in given if name not in known]:
        problems.append(
            f"{key}.{name}: {cls.__name__} has no such option{did_you_mean(name, known)}; "
            f"its options are {', '.join(known) or 'none'}"
        )
        del given[name]
    before = len(problems)
    arguments = {
        name: _children(value, f"{key}.{name}", problems) for name, value in given.items()
    }
    if len(problems) > before:
        return None
    try:
        return cls(**arguments)
    except ValidationError as error:
        for item in error.errors():
            where = ".".join([key, *(str(place) for place in item["loc"])])
            if item["type"] == "missing":
                problems.append(f"{where}: needs a value")
            else:
                reason = item["msg"].removeprefix("Value error, ")
                location = where if item["loc"] else key
                shown = f"={item['input']!r}" if item["loc"] else ""
                problems.append(f"{location}{shown}: {reason[:1].lower()}{reason[1:]}")
        return None


def _children(value: Any, key: str, problems: list[str]) -> Any:
    """Build parts nested in lists and mappings; leave plain values as they are."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            return _build(value, Part, key, problems)
        return {name: _children(item, f"{key}.{name}", problems) for name, item in value.items()}
    if isinstance(value, list):
        return [_children(item, f"{key}.{i}", problems) for i, item in enumerate(value)]
    return value


def _locate(target: str, expected: type, key: str, problems: list[str]) -> type | None:
    module_name, _, class_name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        problems.append(f"{key}._target_={target}: cannot be imported: {error}")
        return None
    if not (isinstance(found, type) and issubclass(found, Part) and issubclass(found, expected)):
        problems.append(
            f"{key}._target_={target}: is not a {expected.__name__}; "
            f"a part derives from it and is decorated with @part"
        )
        return None
    return found
