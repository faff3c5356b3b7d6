"""From a command line to composed configurations, with every mistake said in plain words.

The composing is Hydra's. Before it, each override is checked against what can be composed, so
that all mistakes are reported together and each with what to type instead.
"""

from __future__ import annotations

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
from omegaconf.errors import OmegaConfBaseException

from cropi import catalogue, overrides
from cropi.runtime.errors import ConfigError

CONFIG_PATH = "pkg://cropi.conf"


@dataclass(frozen=True)
class Job:
    """One experiment of a command line: its overrides and its configuration, ``hydra`` included."""

    overrides: tuple[str, ...]
    config: DictConfig


def compose(arguments: Sequence[str] = (), *, config_dir: Path | None = None) -> DictConfig:
    """The configuration of one experiment. Raises ConfigError with every mistake found."""
    (job,) = Composer(config_dir=config_dir).jobs(arguments, multirun=False)
    config = OmegaConf.masked_copy(job.config, [key for key in job.config if key != "hydra"])
    OmegaConf.set_struct(config, True)
    return config


@dataclass
class Composer:
    """Composes from the packaged groups and, when given, a user's own folder of groups."""

    config_dir: Path | None = None
    config_name: str = "config"
    _bases: dict[tuple[str, ...], DictConfig] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        setup_globals()  # the resolvers that Hydra's own configuration uses
        path = create_config_search_path(CONFIG_PATH)
        if self.config_dir is not None:
            folder = self.config_dir.absolute()
            if not folder.is_dir():
                raise ConfigError([f"--config-dir={self.config_dir}: there is no folder {folder}"])
            self._refuse_shadowed(folder)
            path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
        self._loader = ConfigLoaderImpl(path)

    @staticmethod
    def _refuse_shadowed(folder: Path) -> None:
        """Hydra would silently take the packaged option of the same name."""
        packaged = catalogue.conf_folder()
        shadowed = [
            f"{path}: {path.parent.name}={path.stem} is an option of cropi; choose another name"
            for path in sorted(folder.glob("*/**/*.yaml"))
            if (packaged / path.relative_to(folder)).exists()
        ]
        if shadowed:
            raise ConfigError(shadowed)

    def jobs(self, arguments: Sequence[str], *, multirun: bool) -> list[Job]:
        """What the overrides ask for: one job, or with ``multirun`` one a combination.

        A preset can ask for several as well (``hydra.mode: MULTIRUN``). Every job is composed
        and checked before the first is returned.
        """
        parsed, problems = overrides.parse(arguments, self._loader)
        problems += [
            text for o in parsed if (text := overrides.secret(o, self._is_documented)) is not None
        ]
        if problems:
            raise ConfigError(problems)
        single = [o for o in parsed if not o.is_sweep_override()]
        settled = [o for o in single if self._is_group(o) and not self._option_problems(o)]
        preset = self._base(_lines(settled)).hydra
        if not multirun and preset.mode != RunMode.MULTIRUN:
            problems += [text for o in parsed if (text := overrides.needs_multirun(o)) is not None]
            problems += self._problems(single)
            if problems:
                raise ConfigError(problems)
            return [Job(tuple(arguments), self._load(arguments))]
        fixed = [o for o in parsed if o.is_hydra_override()]
        swept, trouble = overrides.parse(
            [f"{key}={values}" for key, values in (preset.sweeper.get("params") or {}).items()],
            self._loader,
        )
        swept += [o for o in parsed if not o.is_hydra_override()]
        problems += trouble
        found = []
        for combination in self._combinations(swept, preset.sweeper._target_):
            lines = [*_lines(fixed), *combination]
            of_job, unread = overrides.parse(lines, self._loader)
            of_job_problems = [*unread, *self._problems(of_job)]
            problems += of_job_problems
            if not of_job_problems:
                found.append(Job(tuple(combination), self._load(lines)))
        if problems:
            raise ConfigError(list(dict.fromkeys(problems)))
        return found

    def _combinations(self, swept: Sequence[Override], sweeper: str) -> list[list[str]]:
        """Every job's overrides; under another sweeper than Hydra's own, what is common to all."""
        if sweeper != f"{BasicSweeper.__module__}.BasicSweeper":
            swept = [o for o in swept if not o.is_sweep_override()]
        problems = [
            f"{o.input_line}: only lists, range(…), choice(…) and glob(…) can be swept over"
            for o in swept
            if o.is_sweep_override() and not o.is_discrete_sweep()
        ]
        if problems:
            raise ConfigError(problems)
        (batch,) = BasicSweeper.split_arguments(list(swept), max_batch_size=None)
        return batch

    def _problems(self, parsed: Sequence[Override]) -> list[str]:
        """Unknown options, or when all are known, unknown keys."""
        groups = [o for o in parsed if self._is_group(o)]
        problems = [text for o in groups for text in self._option_problems(o)]
        defaults = self._base(()).hydra.runtime.choices
        problems += [
            overrides.already_there(o)
            for o in groups
            if o.is_add() and not o.package and defaults.get(o.key_or_group) is not None
        ]
        if problems:
            return problems
        base = self._base(_lines(groups))
        known = list(_paths(base, ""))
        for override in parsed:
            exists = str(override.key_or_group) in known
            if override in groups or override.is_force_add():
                continue
            if override.is_add() and exists and not isinstance(override.value(), dict | list):
                problems.append(overrides.already_there(override))
            elif not override.is_add() and not exists:
                problems.append(self._unknown_key(override, base, known))
        return problems

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
        options = self._loader.get_group_options(str(override.key_or_group), None)
        return bool(options) and not isinstance(override.value(), dict)

    def _option_problems(self, override: Override) -> list[str]:
        group = str(override.key_or_group)
        names = self._loader.get_group_options(group, ObjectType.CONFIG)
        value = override.value()
        if value is None or override.is_delete():
            return []
        asked = value if isinstance(value, list) else [value]
        options = catalogue.options(self.config_dir).get(group, {})
        choices = {name: options[name].description if name in options else "" for name in names}
        return [
            overrides.unknown_option(group, str(name), choices)
            for name in asked
            if str(name) not in names
        ]

    def _base(self, groups: tuple[str, ...]) -> DictConfig:
        """The configuration with these options chosen and nothing else overridden."""
        if groups not in self._bases:
            self._bases[groups] = self._load(groups)
        return self._bases[groups]

    def _load(self, lines: Sequence[str]) -> DictConfig:
        try:
            return self._loader.load_configuration(self.config_name, list(lines), RunMode.RUN)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError([_in_plain_words(error)]) from error
        except yaml.YAMLError as error:
            raise ConfigError([f"a YAML file cannot be read: {error}"]) from error


def _lines(parsed: Sequence[Override]) -> tuple[str, ...]:
    return tuple(str(override.input_line) for override in parsed)


def _paths(node: DictConfig | ListConfig, prefix: str) -> Iterator[str]:
    names = node.keys() if isinstance(node, DictConfig) else range(len(node))
    for name in names:
        yield f"{prefix}{name}"
        child = node._get_node(name)
        if isinstance(child, DictConfig | ListConfig) and not child._is_none():
            if not (child._is_interpolation() or child._is_missing()):
                yield from _paths(child, f"{prefix}{name}.")


def _is_free_form(node: object, root: DictConfig) -> bool:
    """A mapping whose entries a user names: neither a part nor the root."""
    return isinstance(node, DictConfig) and node is not root and "_target_" not in node


def _in_plain_words(error: Exception) -> str:
    text = " ".join(f"{error} {error.__cause__ or ''}".split())
    if "defined before" in text:
        text += "\n    (the order of defaults is shown by: cropi … --info defaults-tree)"
    return text
