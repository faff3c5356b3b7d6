"""Whether the files of a user's own options can be read, said with file, line and column."""

from __future__ import annotations

from pathlib import Path

import yaml
from omegaconf import ListConfig, OmegaConf
from omegaconf.errors import GrammarParseError
from yaml.reader import ReaderError

from cropi import catalogue
from cropi.runtime.errors import ConfigError


def check_own(folder: Path) -> None:
    """Every option of ``folder`` can be read, and none has the name of one of ours.

    Raises ConfigError with all mistakes; Hydra would take our file of that name, silently.
    """
    problems: list[str] = []
    cause: ConfigError | None = None
    for path in sorted(folder.glob("*/**/*.yaml")):
        if any((place / path.relative_to(folder)).exists() for place in catalogue.folders()):
            option = f"{path.parent.name}={path.stem}"
            problems.append(f"{path}: {option} is an option of cropi; choose another name")
        try:
            check(path)
        except ConfigError as error:
            problems += error.problems
            cause = cause or error
    if problems:
        raise ConfigError(problems) from cause


def check(path: Path) -> None:
    """Raises ConfigError where the file of an option cannot be one."""
    try:
        found = OmegaConf.load(path)
    except yaml.YAMLError as error:
        raise ConfigError([yaml_mistake(error)]) from error
    except UnicodeDecodeError as error:
        problem = f"{path}, byte {error.start + 1}: is not UTF-8 text: {error.reason}"
        raise ConfigError([problem]) from error
    except GrammarParseError as error:
        problem = f"{path}, key {error.full_key}: {_interpolation(error)}"
        raise ConfigError([problem]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    if isinstance(found, ListConfig):
        raise ConfigError([f"{path}: an option's file holds keys and values, as key: value"])


def yaml_mistake(error: yaml.YAMLError) -> str:
    """In one sentence what a YAML parser stumbled over, and where."""
    if isinstance(error, ReaderError):
        character = error.character if isinstance(error.character, int) else ord(error.character)
        return (
            f"{error.name}, character {error.position + 1}: cannot be read as YAML: "
            f"found U+{character:04X}, but {error.reason}"
        )
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"cannot be read as YAML: {' '.join(str(error).split())}"
    mark, began = error.problem_mark, error.context_mark
    within = f" ({error.context}" if error.context else ""
    if within and began is not None and began.line != mark.line:
        within += f" that begins in line {began.line + 1}"
    return (
        f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}: "
        f"cannot be read as YAML: {error.problem}{within and within + ')'}"
    )


def _interpolation(error: GrammarParseError) -> str:
    """Without OmegaConf's appendix of keys and types."""
    what = str(error).splitlines()[0]
    return f"cannot be read as an interpolation, ${{key}} or ${{name:value}}: {what}"
