"""From a composed configuration to checked settings and parts, and to the hash of its science.

``assemble`` builds all parts, which checks every type and range, and reports all mistakes of all
groups together. Building loads no model, reads no data and touches no network.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import requires
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cropi import catalogue
from cropi.runtime.errors import ConfigError
from cropi.runtime.parts import Part, build
from cropi.settings import Data, Jobs, Offline, Parts, Settings

P = TypeVar("P")

# Where a run is written, how it is shown and saved: none of it changes what comes out.
NOT_SCIENCE = (
    "runs", "name", "cache", "progress", "tracker", "checkpoint_every", "keep_phase_policies",
    "keep_gradients", "workers", "jobs", "dry_run", "study", "sweep", "hydra",
)  # fmt: skip
# Groups that a selector takes into its own node, as ${projector}. A selector that does not is the
# same method whatever they say.
BORROWED = ("projector", "engine")


def assemble(cfg: DictConfig) -> tuple[Settings, Parts]:
    """Settings and parts of a composed configuration.

    Raises ConfigError with every mistake: missing values, unknown keys, types, ranges, parts
    that cannot be imported. Imports what the chosen parts import.
    """
    values = resolved(cfg)
    kinds = contracts()
    roots = [f.name for f in fields(Settings)]
    problems = [
        f"{key}: nothing reads this key; the groups are {', '.join(kinds)}"
        for key in values
        if key not in kinds and key not in roots and key != "study"
    ]
    settings = _settings(values, problems)
    built: dict[str, Any] = {}
    for group, kind in kinds.items():
        if values.get(group) is None:
            problems.append(_unchosen(group))
        else:
            built[group] = _try_build(values[group], kind, group, problems)
    problems = [p for p in problems if not _is_borrowed(p, values)]
    if problems:
        raise ConfigError([_with_remedy(problem, values) for problem in problems])
    for group in BORROWED:
        del built[group]
    built["generator"] = built.pop("rollout")
    built["trackers"] = (built.pop("tracker"),)
    return settings, Parts(**built)


def study_of(cfg: DictConfig) -> Any:
    """The study that is asked for. Raises ConfigError with every mistake in it."""
    from cropi.studies.study import Study

    return part_of(cfg, "study", Study)  # type: ignore[type-abstract]


def part_of(cfg: DictConfig, group: str, kind: type[P]) -> P:
    """The part of one group, whatever the others hold. Raises ConfigError with every mistake."""
    if cfg.get(group) is None:
        raise ConfigError([_unchosen(group)])
    values = {group: _plain(cfg[group])}
    try:
        return build(values[group], kind, group)
    except ConfigError as error:
        raise ConfigError([_with_remedy(p, values) for p in error.problems]) from error


def data_of(cfg: DictConfig) -> Data:
    """Benchmark and verifier alone: nothing of models is imported. Raises ConfigError."""
    from cropi.contracts import Benchmark, Verifier

    values = resolved(cfg)
    node = {f.name: values[f.name] for f in fields(Data) if f.name in values}
    problems: list[str] = []
    found: list[str] = []
    # First the parts, so that mistakes in them and in the root keys are found together.
    for group, kind in (("benchmark", Benchmark), ("verifier", Verifier)):
        node[group] = _try_build(node[group], kind, group, problems)
    data = _try_build({"_target_": f"{Data.__module__}.Data", **node}, Data, "", found)
    problems += [p for p in found if not p.startswith(("benchmark=None", "verifier=None"))]
    if problems:
        raise ConfigError([_with_remedy(problem, values) for problem in problems])
    assert isinstance(data, Data)
    return data


def contracts() -> dict[str, type[Part]]:
    """Group name -> the contract its options fulfil."""
    from cropi.contracts import (
        Benchmark,
        Generator,
        Model,
        Projector,
        Selector,
        Tracker,
        Trainer,
        Verifier,
    )
    from cropi.evaluation.evaluation import Evaluation
    from cropi.influence.engine import Engine

    return {
        "benchmark": Benchmark,
        "verifier": Verifier,
        "model": Model,
        "rollout": Generator,
        "projector": Projector,
        "engine": Engine,
        "selector": Selector,
        "trainer": Trainer,
        "evaluation": Evaluation,
        "tracker": Tracker,
    }


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """Plain values, interpolations followed. Raises ConfigError for missing or dangling ones."""
    return _plain(OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"]))


def _plain(node: DictConfig) -> dict[str, Any]:
    try:
        missing = sorted(OmegaConf.missing_keys(node))
        values = {} if missing else OmegaConf.to_container(node, resolve=True)
    except OmegaConfBaseException as error:
        where = f"{error.full_key}: " if error.full_key else ""
        raise ConfigError([f"{where}{str(error).splitlines()[0]}"]) from error
    if missing:
        raise ConfigError([_missing(key) for key in missing])
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def science(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration without what cannot change a result."""
    return {
        key: value for key, value in resolved(cfg).items()
        if key not in NOT_SCIENCE and key not in BORROWED
    }  # fmt: skip


def science_hash(cfg: DictConfig) -> str:
    """8 hexadecimal digits: the same science, the same digits, whatever the order of keys."""
    text = json.dumps(_canonical(science(cfg)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _canonical(value: Any) -> Any:
    """``1`` and ``1.0`` are one number, however an override spells it."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _settings(values: Mapping[str, Any], problems: list[str]) -> Any:
    """Settings, built in two steps so that the mistakes of both are found."""
    node = {f.name: values[f.name] for f in fields(Settings) if f.name in values}
    found: list[str] = []
    nested: dict[str, type[Part]] = {"offline": Offline, "jobs": Jobs}
    for name, kind in nested.items():
        if isinstance(node.get(name), Mapping):
            whole = {"_target_": f"{kind.__module__}.{kind.__name__}", **node[name]}
            node[name] = _try_build(whole, kind, name, problems)
    settings = _try_build(
        {"_target_": f"{Settings.__module__}.Settings", **node}, Settings, "", found
    )
    problems += [p for p in found if not p.startswith(tuple(f"{name}=None" for name in nested))]
    return settings


def _try_build(node: Any, kind: type[Part], key: str, problems: list[str]) -> Any:
    try:
        return build(node, kind, key)
    except ConfigError as error:
        problems += [problem.lstrip(".") for problem in error.problems]
        return None


def _is_borrowed(problem: str, values: Mapping[str, Any]) -> bool:
    """A mistake in ``projector.keep`` is found again in ``selector.projector.keep``: told once."""
    return any(
        problem.startswith(f"selector.{group}") and values["selector"].get(group) == values[group]
        for group in BORROWED
        if isinstance(values.get("selector"), Mapping) and group in values
    )


def _unchosen(group: str) -> str:
    return f"{group}: choose one with {group}=NAME; see `cropi list {group}`"


def _missing(key: str) -> str:
    meaning = _meaning(key)
    return f"{key}: needs a value; add {key}=VALUE" + (f" ({meaning})" if meaning else "")


def _meaning(key: str) -> str:
    """The comment above a key: a root key's, or that of the option which leaves it open."""
    group, _, name = key.partition(".")
    options = catalogue.options().get(group, {})
    if not options:
        return next((k.comment for k in catalogue.keys(catalogue.root_text()) if k.path == key), "")
    for option in options.values():
        for found in catalogue.keys(option.text):
            if found.path == name and found.value == "???":
                return found.comment
    return ""


def _with_remedy(problem: str, values: Mapping[str, Any]) -> str:
    """Add what the key means and allows, or the pip line for an optional extra that is missing."""
    refused = re.match(r"([\w.]+)=.*: input should", problem, re.DOTALL)
    if refused and (allowed := _allowed(refused[1], values)):
        return f"{problem} ({allowed})"
    absent = re.search(r"No module named '(\w+)", problem)
    extra = extra_with(absent[1]) if absent else None
    return f"{problem}; pip install 'cropi[{extra}]'" if extra else problem


def _allowed(key: str, values: Mapping[str, Any]) -> str:
    """The comment above a key in the YAML of the part it was given to: meaning, unit and range."""
    group, _, name = key.partition(".")
    texts = [(catalogue.root_text(), key)]
    if group in catalogue.options() and isinstance(values.get(group), Mapping):
        target = values[group].get("_target_")
        texts = [
            (option.text, name) for option in catalogue.options()[group].values()
            if f"_target_: {target}" in option.text.splitlines()
        ]
    return next(
        (k.comment for text, path in texts for k in catalogue.keys(text) if k.path == path), ""
    )


def extra_with(module: str) -> str | None:
    """The extra of ours that installs a module, if one does."""
    pattern = re.compile(rf"{re.escape(module).replace('_', '[-_]')}\b.*extra == ['\"](\w+)['\"]")
    for requirement in requires("cropi") or []:
        found = pattern.match(requirement)
        if found and found[1] != "dev":
            return found[1]
    return None
