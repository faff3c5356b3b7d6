"""What is searched over, in Hydra's own words on the command line.

``selector.alpha=tag(log,interval(0.01,0.5))``, ``trainer.samples_per_prompt=choice(4,8,16)``,
``phases=range(1,6)``, ``offline.samples=int(interval(2,16))``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    RangeSweep,
    Transformer,
)

from cropi.runtime.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def search_space(
    overrides: Sequence[Override],
) -> tuple[dict[str, BaseDistribution], list[str]]:
    """What to search over, by key, and the overrides that are the same for every trial.

    Raises ConfigError when nothing is searched over, or a range makes no sense.
    """
    space: dict[str, BaseDistribution] = {}
    fixed: list[str] = []
    problems: list[str] = []
    for override in overrides:
        if not override.is_sweep_override():
            fixed.append(str(override.input_line))
            continue
        try:
            space[override.get_key_element()] = _distribution(override)
        except ValueError as error:
            problems.append(f"{override.input_line}: {error}")
    if not space and not problems:
        problems.append(
            "nothing to tune: give at least one key several values, such as "
            "'selector.alpha=tag(log,interval(0.01,0.5))' or 'selector.fusion=choice(rrf,mean)'"
        )
    if problems:
        raise ConfigError(problems)
    return space, fixed


def _distribution(override: Override) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    value: Any = override.value()
    if isinstance(value, IntervalSweep):
        log = "log" in value.tags
        if value.start is None or value.end is None:
            raise ValueError("needs both ends: interval(A,B)")
        if isinstance(value.start, int) and isinstance(value.end, int):
            return IntDistribution(value.start, value.end, log=log)
        return FloatDistribution(float(value.start), float(value.end), log=log)
    if isinstance(value, ChoiceSweep | RangeSweep):
        values = override.sweep_iterator(Transformer.encode)
        return CategoricalDistribution([str(value) for value in values])
    raise ValueError("can only be searched as choice(…), range(…) or interval(…)")


def as_overrides(parameters: Mapping[str, Any]) -> list[str]:
    """A trial's values as overrides; the same values always give the same text."""
    return [
        f"{key}={value if isinstance(value, str) else repr(value)}"
        for key, value in parameters.items()
    ]
