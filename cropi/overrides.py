"""What is wrong with the overrides of a command line, in plain words.

Hydra reports one mistake at a time, in the terms of its grammar. Here every override is looked at,
and each message shows what was read and what to type instead, quoted for the shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from cropi.catalogue import Option
from cropi.contracts import SECRET
from cropi.runtime.errors import did_you_mean

# Names that hold secrets whatever part has them; the broader SECRET also knows a bare "key".
ALWAYS_SECRET = re.compile(r"(api[_-]?key|token|secret|password|credentials?)$", re.IGNORECASE)


def for_shell(text: str) -> str:
    """``text`` as one shell word, in the quotes that are easiest to read."""
    if "'" in text and not set(text) & set('"$`\\!'):
        return f'"{text}"'
    return shlex.quote(text)


def parse(
    arguments: Sequence[str], loader: ConfigLoader | None = None
) -> tuple[list[Override], list[str]]:
    """The overrides that can be read, and a problem for each that cannot.

    ``loader`` knows the options that ``group=glob(*)`` stands for.
    """
    read: list[Override] = []
    problems: list[str] = []
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        override = _read(argument, loader)
        if override is not None:
            read.append(override)
            position += 1
            continue
        length, problem = _explain(arguments[position:], arguments[:position])
        problems.append(problem)
        position += length
    return read, problems


def _read(argument: str, loader: ConfigLoader | None = None) -> Override | None:
    try:
        (override,) = OverridesParser.create(loader).parse_overrides([argument])
    except (HydraException, AssertionError):  # "+=3" trips an assertion of the parser
        return None
    return override if override.key_or_group else None


def _explain(rest: Sequence[str], before: Sequence[str]) -> tuple[int, str]:
    """How many arguments the mistake spans, and what to say of it."""
    first = rest[0]
    spaced = _spaced_equals(rest, before)
    if spaced is not None:
        length, meant = spaced
        return length, f"{first}: no spaces around the equals sign; write {for_shell(meant)}"
    if "=" not in first:
        return 1, f"{first}: is not of the form key=value, and no command; see `cropi --help`"
    for length in range(2, len(rest) + 1):
        joined = " ".join(rest[:length])
        if _read(joined) is not None:
            return length, (
                f"{joined}: the shell split this at its spaces; write {for_shell(joined)}"
            )
    key, _, value = first.partition("=")
    quoted = f"{key}={_quoted(value)}"
    if _read(quoted) is not None:
        return 1, (
            f"{first}: cannot be read after {key}=; if {value} is one piece of text, "
            f"quote it for Hydra and for the shell: {for_shell(quoted)}"
        )
    return 1, f"{first}: {key!r} cannot be the name of a key; keys look like selector.alpha"


def _spaced_equals(rest: Sequence[str], before: Sequence[str]) -> tuple[int, str] | None:
    """``seed = 3``, ``seed =3`` or ``seed= 3``: how many arguments it spans, and ``seed=3``."""
    if before and before[-1].endswith("=") and "=" not in rest[0]:
        return 1, before[-1] + rest[0]
    if len(rest) > 1 and rest[1].startswith("=") and "=" not in rest[0]:
        length = 3 if rest[1] == "=" and len(rest) > 2 else 2
        return length, "".join(rest[:length])
    return None


def _quoted(value: str) -> str:
    """``value`` as a quoted string of Hydra: backslashes count only before a quote."""
    escaped = re.sub(r'(\\*)("|$)', lambda m: m[1] * 2 + ('\\"' if m[2] else ""), value)
    return f'"{escaped}"'


def needs_multirun(override: Override) -> str | None:
    """The problem of several values where one experiment is asked for."""
    if not override.is_sweep_override():
        return None
    if problem := endless(override):
        return problem
    line = str(override.input_line)
    key, _, values = line.partition("=")
    problem = (
        f"{line}: several values make several experiments; did you mean -m? "
        f"Write: cropi -m {for_shell(line)}"
    )
    if override.is_choice_sweep() and "(" not in values:
        one_list, one_text = f"{key}=[{values}]", f"{key}='{values}'"
        problem += (
            f" (one list is {for_shell(one_list)}, one text with a comma {for_shell(one_text)})"
        )
    return problem


def endless(override: Override) -> str | None:
    """The problem of an interval, which has no end of values, among experiments to be run."""
    if not override.is_sweep_override() or override.is_discrete_sweep():
        return None
    line = str(override.input_line)
    return (
        f"{line}: an interval cannot be run value by value; search it with: "
        f"cropi tune {for_shell(line)}, or sweep over a list, range(…), choice(…) or glob(…)"
    )


def secret(override: Override, is_documented: Callable[[str], bool]) -> str | None:
    """The problem of a password or an API key on the command line.

    A documented option that only sounds like one (``answer_key``) is none.
    """
    key = str(override.key_or_group)
    name = key.rpartition(".")[2]
    if not (ALWAYS_SECRET.search(name) or (SECRET.search(name) and not is_documented(key))):
        return None
    if override.is_delete() or override.value() is None:
        return None
    of_wandb = "wandb" in key.lower() or key.startswith("tracker.")
    variable = "WANDB_API_KEY" if of_wandb else "HF_TOKEN for Hugging Face"
    return (
        f"{key}=…: looks like a secret, and would end in the shell's history and in the run's "
        f"files; set an environment variable instead ({variable})"
    )


def unknown_key(
    override: Override, known: Sequence[str], chosen: str, elsewhere: Iterable[Option]
) -> str:
    """The problem of a key that the composed configuration does not have.

    ``chosen`` names the option of the key's group (``selector=full``), ``elsewhere`` are other
    options of that group that do have the key.
    """
    key = str(override.key_or_group)
    others = [f"{option.group}={option.name}" for option in elsewhere]
    if others:
        have = "has" if len(others) == 1 else "have"
        return f"{override.input_line}: {chosen} has no such key, but {_and(others)} {have}"
    return f"{override.input_line}: there is no such key{suggest_key(key, known)}"


def already_there(override: Override) -> str:
    """The problem of adding a key that exists."""
    line = str(override.input_line)
    return f"{line}: the key exists; set it without the plus: {for_shell(line.lstrip('+'))}"


def new_entry(override: Override) -> str:
    """The problem of a new entry in a free-form mapping."""
    line = str(override.input_line)
    return f"{line}: there is no such entry yet; add it with a plus: {for_shell('+' + line)}"


def suggest_key(key: str, known: Sequence[str]) -> str:
    """``' (did you mean "selector.alpha"?)'``: by last name, by spelling, by both."""
    name = key.rpartition(".")[2]
    last = {path.rpartition(".")[2]: path for path in reversed(known)}
    if name in last:
        return f' (did you mean "{last[name]}"?)'
    suggestion = did_you_mean(key, known)
    near = get_close_matches(name, list(last), n=1, cutoff=0.75)
    if not suggestion and near:
        suggestion = f' (did you mean "{last[near[0]]}"?)'
    return suggestion or "; `cropi config` prints all keys"


def unknown_option(group: str, name: str, choices: Mapping[str, str]) -> str:
    """The problem of a group's option that does not exist; ``choices`` are name: description."""
    width = max(map(len, choices), default=0)
    listing = "\n".join(
        f"      {choice:{width}}  {description}".rstrip() for choice, description in choices.items()
    )
    return (
        f"{group}={name}: there is no such {group}{did_you_mean(name, choices)}; "
        f"choose one of\n{listing}"
    )


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
