"""From a command line to composed configurations, with every mistake said in plain words.

The composing is Hydra's. Before it, each override is checked against what can be composed, so
that all mistakes are reported together and each with what to type instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException

from cropi import catalogue, option_files, overrides
from cropi.runtime.errors import ConfigError

CONFIG_PATH = "pkg://cropi.conf"
# Groups whose options choose those of other groups.
PRESETS = {"experiment", "debug", "sweep"}


def _divide(total: int, parts: int) -> int:
    """``${divide:160,4}`` is 40; a remainder is a mistake."""
    if parts < 1 or total % parts:
        raise ValueError(f"{total} cannot be divided into {parts} equal parts")
    return total // parts


# For presets that keep a product constant.
OmegaConf.register_new_resolver("divide", _divide, replace=True)


@dataclass(frozen=True)
class Job:
    """One experiment of a command line: its overrides and its configuration, ``hydra`` included."""

    overrides: tuple[str, ...]
    config: DictConfig


def compose(arguments: Sequence[str] = (), *, config_dir: Path | None = None) -> DictConfig:
    """The configuration of one experiment. Raises ConfigError with every mistake found."""
    (job,) = Composer(config_dir=config_dir).jobs(arguments, multirun=False)
    config = OmegaConf.masked_copy(job.config, [str(key) for key in job.config if key != "hydra"])
    OmegaConf.set_struct(config, True)
    return config


@dataclass
class Composer:
    """Composes from the packaged groups and, when given, a user's own folder of groups."""

    config_dir: Path | None = None
    config_name: str = "config"
    _composed: dict[tuple[str, ...], DictConfig] = field(default_factory=dict, init=False)
    _listed: dict[tuple[object, ...], list[str]] = field(default_factory=dict, init=False)
    _searchpath: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        setup_globals()  # the resolvers that Hydra's own configuration uses
        path = create_config_search_path(CONFIG_PATH)
        path.prepend("cropi", "pkg://cropi.sweeps", SearchPathQuery(provider="schema"))
        if self.config_dir is not None:
            folder = self.config_dir.absolute()
            if not folder.is_dir():
                raise ConfigError([f"--config-dir={self.config_dir}: there is no folder {folder}"])
            option_files.check_own(folder)
            path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
        self._loader = ConfigLoaderImpl(path)

    def jobs(self, arguments: Sequence[str], *, multirun: bool) -> list[Job]:
        """What the overrides ask for: one job, or with ``multirun`` one a combination.

        A preset can ask for several as well (``hydra.mode: MULTIRUN``). Every job is composed
        and checked before the first is returned.
        """
        parsed, problems = overrides.parse(arguments, self._loader)
        problems += filter(None, (overrides.secret(o, self._is_documented) for o in parsed))
        if problems:
            raise ConfigError(problems)
        self._searchpath = [line for line in arguments if line.startswith("hydra.searchpath=")]
        settled = [
            o for o in parsed
            if not o.is_sweep_override() and self._is_group(o) and not self._option_problems(o)
        ]  # fmt: skip
        preset = self._load(_lines(settled)).hydra
        if multirun or preset.mode == RunMode.MULTIRUN:
            return self._several(parsed, preset.sweeper)
        return [self._one(parsed)]

    def _one(self, parsed: Sequence[Override]) -> Job:
        problems = list(filter(None, map(overrides.needs_multirun, parsed)))
        problems += self._problems([o for o in parsed if not o.is_sweep_override()])
        if problems:
            raise ConfigError(problems)
        return Job(_lines(parsed), self._load(_lines(parsed)))

    def _several(self, parsed: Sequence[Override], sweeper: DictConfig) -> list[Job]:
        params = sweeper.get("params") or {}
        swept, problems = overrides.parse([f"{k}={v}" for k, v in params.items()], self._loader)
        swept += [o for o in parsed if not o.is_hydra_override()]
        fixed = _lines([o for o in parsed if o.is_hydra_override()])
        jobs = []
        for combination in self._combinations(swept, sweeper._target_):
            of_job, _ = overrides.parse([*fixed, *combination])
            found = self._problems(of_job)
            problems += found
            if not found:
                jobs.append(Job(tuple(combination), self._load(_lines(of_job))))
        if problems:
            raise ConfigError(list(dict.fromkeys(problems)))
        return jobs

    def _combinations(self, swept: Sequence[Override], sweeper: str) -> list[list[str]]:
        """Every job's overrides; under another sweeper than Hydra's own, what is common to all."""
        if sweeper != f"{BasicSweeper.__module__}.BasicSweeper":
            swept = [o for o in swept if not o.is_sweep_override()]
        if problems := list(filter(None, map(overrides.endless, swept))):
            raise ConfigError(problems)
        (batch,) = BasicSweeper.split_arguments(list(swept), max_batch_size=None)
        return batch

    def _problems(self, parsed: Sequence[Override]) -> list[str]:
        """Unknown options and keys; keys that only an unknown option may have are let be."""
        groups = [o for o in parsed if self._is_group(o)]
        found = [(o, self._option_problems(o)) for o in groups]
        problems = [text for _, texts in found for text in texts]
        wrong = {str(o.key_or_group) for o, texts in found if texts}
        base = self._load(_lines([o for o, texts in found if not texts]))
        known = list(_paths(base))
        for override in parsed:
            key = str(override.key_or_group)
            exists = key in known
            if override in groups or override.is_force_add() or self._may_come(key, wrong):
                continue
            if override.is_add() and exists and not isinstance(override.value(), dict | list):
                problems.append(overrides.already_there(override))
            elif not override.is_add() and not exists:
                problems.append(self._unknown_key(override, base, known))
        return problems

    def _may_come(self, key: str, wrong: set[str]) -> bool:
        """Whether a key may be one of the options that were meant by the groups in ``wrong``.

        A preset (``experiment``) may choose any option of any group, but adds no root key.
        """
        group, dot, _ = key.partition(".")
        is_part = bool(dot) and bool(self._names(group))
        return group in wrong or (is_part and bool(wrong & PRESETS))

    def _unknown_key(self, override: Override, base: DictConfig, known: list[str]) -> str:
        key = str(override.key_or_group)
        parent = OmegaConf.select(base, key.rpartition(".")[0] or key)
        group = key.partition(".")[0]
        if _is_free_form(parent, base) and group not in ("hydra", "offline"):
            return overrides.new_entry(override)
        return overrides.unknown_key(
            override,
            [path for path in known if path.startswith("hydra.") == (group == "hydra")],
            f"{group}={base.hydra.runtime.choices.get(group)}",
            self._options_with(key),
        )

    def _is_documented(self, key: str) -> bool:
        return any(True for _ in self._options_with(key))

    def _options_with(self, key: str) -> Iterator[catalogue.Option]:
        group, _, name = key.partition(".")
        for option in catalogue.options(self.config_dir).get(group, {}).values():
            if any(found.path == name for found in catalogue.keys(option.text)):
                yield option

    def _is_group(self, override: Override) -> bool:
        """``selector={alpha: 0.2}`` overrides keys; any other value chooses an option."""
        group = str(override.key_or_group)
        is_group = bool(self._names(group) or self._names(group, ObjectType.GROUP))
        return is_group and not isinstance(override.value(), dict)

    def _names(self, group: str, kind: ObjectType = ObjectType.CONFIG) -> list[str]:
        """The options of a group, or the groups inside it, looked up once."""
        key = (group, kind, *self._searchpath)
        if key not in self._listed:
            self._listed[key] = self._loader.get_group_options(group, kind, None, self._searchpath)
        return self._listed[key]

    def _option_problems(self, override: Override) -> list[str]:
        group = str(override.key_or_group)
        names = self._names(group)
        value = override.value()
        if override.is_delete():
            return []
        if override.is_add() and not override.package and self._is_chosen(group):
            return [overrides.already_there(override)]
        asked = value if isinstance(value, list) else [value]
        options = catalogue.options(self.config_dir).get(group, {})
        choices = {name: options[name].description if name in options else "" for name in names}
        return [
            overrides.unknown_option(group, "null" if name is None else str(name), choices)
            for name in asked
            if name is None or str(name) not in names
        ]

    def _is_chosen(self, group: str) -> bool:
        """Whether conf/config.yaml chooses an option of the group."""
        return self._load(()).hydra.runtime.choices.get(group) is not None

    def _load(self, lines: Sequence[str]) -> DictConfig:
        """Hydra's composition of these overrides, made once."""
        key = tuple(dict.fromkeys([*self._searchpath, *lines]))
        if key not in self._composed:
            try:
                config = self._loader.load_configuration(self.config_name, list(key), RunMode.RUN)
            except (HydraException, OmegaConfBaseException, ValueError) as error:
                raise ConfigError([_in_plain_words(error)]) from error
            except yaml.YAMLError as error:
                raise ConfigError([option_files.yaml_mistake(error)]) from error
            self._composed[key] = config
        return self._composed[key]


def _lines(parsed: Sequence[Override]) -> tuple[str, ...]:
    return tuple(str(override.input_line) for override in parsed)


def _paths(node: DictConfig | ListConfig, prefix: str = "") -> Iterator[str]:
    """Every dotted key, mappings and lists themselves included; nothing is resolved."""
    for name in node if isinstance(node, DictConfig) else range(len(node)):
        yield f"{prefix}{name!s}"
        child = node._get_node(name)  # type: ignore[arg-type]
        if isinstance(child, DictConfig | ListConfig) and not child._is_none() and (
            not child._is_interpolation() and not child._is_missing()
        ):
            yield from _paths(child, f"{prefix}{name!s}.")


def _is_free_form(node: object, root: DictConfig) -> bool:
    """A mapping whose entries a user names: neither a part nor the root."""
    return isinstance(node, DictConfig) and node is not root and "_target_" not in node


def _in_plain_words(error: Exception) -> str:
    """Hydra's or OmegaConf's message in one line: where, what, and what to look at."""
    text = " ".join(f"{error} {error.__cause__ or ''}".split())
    text = text.partition(" Config search path:")[0]
    text = re.sub(r" (object|reference)_type=\S+", "", text)
    if isinstance(error.__cause__ or error, GrammarParseError):
        text = f"cannot be read as an interpolation: {text}"
    if key := re.search(r" full_key: (\S+)", text):
        text = f"{key[1]}: {text.replace(key[0], '')}"
    if "defined before" in text:
        text += "\n    (the order of defaults is shown by: cropi … --info defaults-tree)"
    if "Could not override" in text:
        text += " A preset names other groups with a slash: override /selector: full"
    return text
