"""Errors meant for people: what was wrong, where, and what to type instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class CropiError(Exception):
    """Anything a user can put right. The command line prints its text without a traceback."""


class ConfigError(CropiError):
    """One or more mistakes in the configuration, all listed at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        head = "the configuration has a mistake" if len(self.problems) == 1 else (
            f"the configuration has {len(self.problems)} mistakes"
        )
        super().__init__("\n".join([f"{head}:", *(f"  - {p}" for p in self.problems)]))


class DataError(CropiError):
    """A data set that cannot be read or trusted as asked."""


class RunBusyError(CropiError):
    """Another process is working on this run."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """``' (did you mean "cropi"?)'``, or an empty string when nothing is near."""
    near = get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""
