"""Shell completion: commands, groups and their options, keys. Quick: only YAML files are read."""

from __future__ import annotations

from collections.abc import Iterator

from cropi import catalogue

BASH = """\
_cropi() {
    local IFS=$'\\n' found
    found=$(cropi completion words "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    # bash itself breaks words at = and :, and wants only what follows them.
    case "${COMP_WORDS[COMP_CWORD-1]}${COMP_WORDS[COMP_CWORD]}" in
        *=*) found=$(printf '%s\\n' "$found" | sed 's/^[^=]*=//') ;;
    esac
    COMPREPLY=($found)
    case "$found" in *=|*.) compopt -o nospace ;; esac
}
complete -F _cropi cropi
"""
SCRIPTS = {
    "bash": BASH,
    "zsh": "autoload -U +X bashcompinit && bashcompinit\n" + BASH,
    "fish": "complete -c cropi -f -a '(cropi completion words (commandline -cp))'\n",
}


def words(line: str) -> list[str]:
    """What the last word of a command line may become; ``line`` ends at the cursor."""
    given = line.split()
    last = "" if line[-1:].isspace() or not given else given.pop()
    if last.startswith("-"):
        return []
    return sorted(word for word in _candidates(given[1:], last) if word.startswith(last))


def _candidates(before: list[str], last: str) -> Iterator[str]:
    from cropi.commands import NAMES

    options = catalogue.options()
    if before and before[0] in NAMES and before[0] not in ("verify", "data", "tune"):
        yield from options if before[0] in ("list", "config") else ()
        return
    name, equals, value = last.partition("=")
    if equals:
        taken = value.rpartition(",")[0]
        start = f"{name}={taken}," if taken else f"{name}="
        yield from (f"{start}{option}" for option in options.get(name, {}))
        return
    if not before:
        yield from NAMES
    yield from (f"{group}=" for group in options)
    # Keys inside a group are too many to offer before its dot is typed.
    yield from (f"{key}=" for key in _keys(before, options) if "." in last or "." not in key)


def _keys(before: list[str], options: dict[str, dict[str, catalogue.Option]]) -> Iterator[str]:
    """Root keys, and those of the options that are chosen on the line or by default."""
    chosen = catalogue.defaults() | dict(
        word.split("=", 1) for word in before if "=" in word and word.split("=")[0] in options
    )
    for key in catalogue.keys(catalogue.root_text()):
        if key.path.split(".")[0] not in ("defaults", "hydra") and "_target_" not in key.path:
            yield key.path
    for group, option in chosen.items():
        if option in options.get(group, {}):
            for key in catalogue.keys(options[group][option].text):
                if key.path.split(".")[0] != "defaults" and "_target_" not in key.path:
                    yield f"{group}.{key.path}"
