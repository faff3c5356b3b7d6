"""What can be composed: groups, their options, and the comments that describe both.

Everything is read from the YAML files themselves, so the help can never disagree with them, and
nothing heavier than a YAML parser is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import yaml

# What each group answers; also the order in which they are listed.
QUESTIONS = {
    "benchmark": "where the prompts come from",
    "verifier": "whether an answer is right",
    "model": "the policy that learns",
    "rollout": "how completions are drawn",
    "projector": "how a gradient is made small",
    "engine": "how gradients are computed",
    "selector": "which prompts are trained on next",
    "trainer": "how the policy learns",
    "evaluation": "how progress is measured",
    "tracker": "where metrics are mirrored",
    "study": "questions about the method, asked of a run",
    "sweep": "grids of experiments, three seeds each",
    "experiment": "presets of a whole experiment",
    "debug": "presets to try things quickly",
}


@dataclass(frozen=True)
class Option:
    """One YAML of a group."""

    group: str
    name: str
    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def description(self) -> str:
        """The file's first comment that is not a directive to Hydra (``# @package``)."""
        for line in self.text.splitlines():
            if line.startswith("#") and not line.startswith("# @"):
                return line.lstrip("# ").rstrip()
            if line.strip() and not line.startswith("#"):
                break
        return ""


def conf_folder() -> Path:
    """Where the packaged configuration is installed."""
    return _installed("cropi.conf")


def _installed(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def folders(config_dir: Path | None = None) -> list[Path]:
    """The folders options come from."""
    packaged = [_installed("cropi.conf"), _installed("cropi.sweeps")]
    return packaged if config_dir is None else [*packaged, config_dir]


def options(config_dir: Path | None = None) -> dict[str, dict[str, Option]]:
    """Group name -> option name -> option, in listing order. Hydra's own groups are left out."""
    found: dict[str, dict[str, Option]] = {group: {} for group in QUESTIONS}
    for folder in folders(config_dir):
        for path in sorted(folder.glob("*/**/*.yaml")):
            group = path.parent.relative_to(folder).as_posix()
            if group.partition("/")[0] != "hydra":
                found.setdefault(group, {})[path.stem] = Option(group, path.stem, path)
    return {group: dict(sorted(named.items())) for group, named in found.items() if named}


def root_text() -> str:
    """The text of conf/config.yaml."""
    return (conf_folder() / "config.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Key:
    """A key of a YAML file: dotted path, the comment above it, and its value when it is plain."""

    path: str
    comment: str
    value: str | None


def keys(text: str) -> list[Key]:
    """Every key of a YAML text in file order, those inside lists included (``sources.0.path``)."""
    root = yaml.compose(text)
    return [] if root is None else list(_walk(root, "", text.splitlines()))


def _walk(node: yaml.Node, prefix: str, lines: Sequence[str]) -> Iterator[Key]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            path = f"{prefix}{name.value}"
            plain = value.value if isinstance(value, yaml.ScalarNode) else None
            yield Key(path, _comment_above(name.start_mark.line, lines), plain)
            yield from _walk(value, f"{path}.", lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, f"{prefix}{index}.", lines)


def _comment_above(line: int, lines: Sequence[str]) -> str:
    comment: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        comment.insert(0, lines[line].strip().lstrip("#").strip())
    return " ".join(comment)


def defaults() -> dict[str, str]:
    """Group name -> the option that conf/config.yaml chooses."""
    entries = yaml.safe_load(root_text())["defaults"]
    return {
        group: option
        for entry in entries
        if isinstance(entry, dict)
        for group, option in entry.items()
        if option is not None
    }
