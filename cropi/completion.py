"""Shell completion: commands, groups and options, keys, flags. Quick: only YAML files are read."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cropi import catalogue

# Where nothing is found, each shell completes file names.
BASH = """\
_cropi() {
    local IFS=$'\\n' here="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" found
    found=$("$1" completion words "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    # bash breaks words at = itself, and wants only what follows it.
    if [ "$here" = "=" ] || [ "$before" = "=" ]; then
        found=$(printf '%s\\n' "$found" | sed 's/^[^=]*=//')
    fi
    COMPREPLY=($found)
    case "$found" in *=|*.) compopt -o nospace ;; esac
}
complete -o default -F _cropi cropi
"""
ZSH = """\
#compdef cropi
_cropi() {
    local line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    local -a found
    found=(${(f)"$("$words[1]" completion words "$line" 2>/dev/null)"})
    (( $#found )) || { _files; return }
    compadd -S '' -- ${(M)found:#*[=.]}
    compadd -- ${found:#*[=.]}
}
(( $+functions[compdef] )) || { autoload -U compinit && compinit }
compdef _cropi cropi
"""
FISH = """\
complete -c cropi -f -a '(cropi completion words (commandline -cp | string collect))'
complete -c cropi -n '__fish_seen_subcommand_from verify results report runs diff rerun' -F
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
# Commands whose words are overrides, as those of a run are.
COMPOSED = ("verify", "data", "tune", "rerun")
OF_RUNS = (("rerun",), ("diff",), ("rollouts", "show"), ("selection", "show"))
WORDS: Mapping[tuple[str, ...], Iterable[str]] = {
    ("data",): ["check"],
    ("rollouts",): ["show"],
    ("selection",): ["show"],
    ("completion",): SCRIPTS,
}


def words(line: str) -> list[str]:
    """What the last word of a command line may become; ``line`` ends at the cursor."""
    given = line.split()
    last = "" if line[-1:].isspace() or not given else given.pop()
    return sorted({word for word in _candidates(given[1:], last) if word.startswith(last)})


def _candidates(before: list[str], last: str) -> Iterator[str]:
    from cropi.commands import NAMES

    command = tuple(before[:2]) if before and before[0] in NAMES else ()
    if last.startswith("-"):
        yield from _flags(command)
        return
    if command and len(before) == 1:
        yield from WORDS.get(command, ())
        yield from catalogue.options() if command[0] in ("list", "config") else ()
    if any(command[: len(each)] == each for each in OF_RUNS):
        yield from _run_folders()
    if not before:
        yield from NAMES
    if not command or (command[0] in COMPOSED and command != ("data",)):
        yield from _overrides(before, last)


def _overrides(before: list[str], last: str) -> Iterator[str]:
    options = {g: named for g, named in catalogue.options().items() if g in catalogue.QUESTIONS}
    name, equals, value = last.partition("=")
    if equals and name in options:
        taken = value.rpartition(",")[0]
        start = f"{name}={taken}," if taken else f"{name}="
        yield from (f"{start}{option}" for option in options[name])
        return
    keys = list(_keys(before, options))
    if equals:
        yield from (f"{name}={v}" for key in keys if key.path == name for v in _values(key))
        return
    yield from (f"{group}=" for group in options)
    nodes = {key.path.rpartition(".")[0] for key in keys}
    for key in keys:
        # Keys inside a group are too many to offer before its dot is typed.
        if key.path not in nodes and ("." in last or "." not in key.path):
            yield f"{key.path}="
    if "." not in last:
        yield from (f"{node}." for node in nodes if node and "." not in node)


def _keys(
    before: list[str], options: Mapping[str, Mapping[str, catalogue.Option]]
) -> Iterator[catalogue.Key]:
    """Root keys, and those of the options that are chosen on the line or by default."""
    chosen = catalogue.defaults() | dict(
        word.split("=", 1) for word in before if "=" in word and word.split("=")[0] in options
    )
    for key in catalogue.keys(catalogue.root_text()):
        if key.path.split(".")[0] not in ("defaults", "hydra") and "_target_" not in key.path:
            yield key
    for group, name in chosen.items():
        if name in options.get(group, {}):
            for key in catalogue.keys(options[group][name].text):
                if key.path.split(".")[0] != "defaults" and "_target_" not in key.path:
                    yield catalogue.Key(f"{group}.{key.path}", key.comment, key.value)


def _values(key: catalogue.Key) -> list[str]:
    """Both truth values, or the default."""
    if key.value in ("true", "false"):
        return ["true", "false"]
    return [key.value] if key.value and "$" not in key.value and " " not in key.value else []


def _flags(command: tuple[str, ...]) -> Iterator[str]:
    """Of a run, or of a command; those of its subcommand too."""
    from cropi.commands import _parser
    from cropi.help import FLAGS

    if not command:
        yield from (word.strip(",[]") for text in FLAGS for word in text.split() if "-" in word)
        yield "--help"
        return
    parser = _parser()
    for name in command:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction) and name in action.choices:
                parser = action.choices[name]
                yield from (flag for each in parser._actions for flag in each.option_strings)


def _run_folders() -> Iterator[str]:
    """Where runs are by default; any other folder is left to the shell."""
    yield from (str(found.parent) for found in Path("runs").glob("*/manifest.json"))
