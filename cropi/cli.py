"""The command ``cropi``: an experiment, or one of a few commands about it.

Only the standard library is imported here, so that the help is quick and a broken installation
can still be diagnosed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

NEWEST_PYTHON = (3, 13)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code (2 for mistakes in it, 1 for failures)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.version_info[:2] > NEWEST_PYTHON:
        print(
            f"error: Python {sys.version_info[0]}.{sys.version_info[1]} is not supported by "
            f"hydra-core 1.3; use Python 3.11, 3.12 or 3.13",
            file=sys.stderr,
        )
        return 1
    from cropi.runtime.errors import ConfigError, CropiError

    try:
        return _dispatch(arguments)
    except CropiError as error:
        from cropi.launch import CONFIG_MISTAKE, FAILED
        from cropi.outcome import tell

        tell(error)
        return CONFIG_MISTAKE if isinstance(error, ConfigError) else FAILED
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `cropi list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(arguments: list[str]) -> int:
    from cropi import commands

    if arguments and arguments[0] in commands.NAMES:
        return commands.run(arguments)
    _refuse_misspelt(arguments, commands.NAMES)
    if {"-h", "--help"} & set(arguments):
        from cropi.help import help_text

        print(help_text(), end="")
        return 0
    if "--version" in arguments:
        from cropi import __version__

        print(f"cropi {__version__}")
        return 0
    from cropi.launch import launch

    return launch(arguments)


def _refuse_misspelt(arguments: Sequence[str], commands: Sequence[str]) -> None:
    """A first word that is nearly a command was meant as one. ``seed = 3`` was not."""
    from cropi.catalogue import QUESTIONS
    from cropi.runtime.errors import ConfigError, did_you_mean

    first, second = (*arguments, "", "")[:2]
    if not first.isidentifier() or second.startswith("=") or first in QUESTIONS:
        return
    if near := did_you_mean(first, commands):
        raise ConfigError([f"{first}: there is no such command{near}; keys are set with KEY=VALUE"])
