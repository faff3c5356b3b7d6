"""A user's own reward function, run inside a worker process only.

The worker asks this module for ``package.module:function`` by that very name, as an attribute, and
gets it ready to be called with a job: importing it is on no job's clock.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

MAY_COMPILE = True  # libraries that a user calls do (namedtuple, sympy): it is the user's own code


def __getattr__(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    module, colon, function = name.partition(":")
    if not colon:
        raise AttributeError(name)
    reward = getattr(importlib.import_module(module), function)

    def call(job: Mapping[str, Any]) -> float | None:
        return checked(reward(job["prediction"], job["gold"], job["metadata"]))

    return call


def checked(value: Any) -> float | None:
    """None, or a number from 0 to 1 as float. Raises ValueError for anything else."""
    if hasattr(value, "item"):  # numpy's and torch's scalars
        value = value.item()
    if value is None:
        return None
    number = float(value) if isinstance(value, Real) else math.nan
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"returned {value!r:.100}; a reward is a number from 0 to 1, or None")
    return number
