"""A benchmark put together from sources: a training pool, validation sets and test sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from cropi.benchmarks.assembly import Items, Overlap, Rules, assemble
from cropi.contracts import Benchmark, PositiveInt, Prompts, Source
from cropi.runtime.errors import DataError
from cropi.runtime.parts import part


@part
class Composed(Benchmark):
    """Sources by name. A test set is targeted when a validation set of its name guides selection.

    That validation set is either a source of its own under ``validation``, or cut from the test
    set: ``validation_share`` of every test set without one is set aside and never reported,
    whether or not the set is targeted, so that reported rows do not depend on what is targeted.
    ``data`` is only there for paths in the configuration to refer to.
    """

    train: dict[str, Source]
    tests: dict[str, Source]
    validation: dict[str, Source] = Field(default_factory=dict)
    validation_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    targeted: list[str] = Field(default_factory=list)
    overlap: Overlap = "drop"
    near_overlap: Overlap = "warn"
    pool_limit: PositiveInt | None = None
    test_limit: PositiveInt | None = None
    data: str | None = None
    max_new_tokens: PositiveInt = 1024
    max_prompt_tokens: PositiveInt = 1024

    def __post_init__(self) -> None:
        for name in self.targeted:
            if name not in self.tests:
                raise ValueError(
                    f"targeted names {name!r}, but the tests are {', '.join(self.tests) or 'none'}"
                )
            if name not in self.validation and self.validation_share == 0.0:
                raise ValueError(
                    f"targeted names {name!r}, which needs validation.{name} or a "
                    f"validation_share above 0"
                )
        for name in self.validation:
            if name in self.tests and name not in self.targeted:
                raise ValueError(
                    f"validation.{name} guides the selection towards tests.{name}: "
                    f"name it in targeted too"
                )

    def load(self, seed: int) -> Prompts:
        """Read, clean, split. Raises DataError when a set ends up empty or overlaps are errors."""
        for option, sources in (("train", self.train), ("tests", self.tests)):
            if not sources:
                raise DataError(
                    f"benchmark.{option} names no source; add one, for example "
                    f"+source@benchmark.{option}.gsm8k=gsm8k_{option.removesuffix('s')}"
                )
        rules = Rules(
            targeted=self.targeted,
            validation_share=self.validation_share,
            overlap=self.overlap,
            near_overlap=self.near_overlap,
            pool_limit=self.pool_limit,
            test_limit=self.test_limit,
        )
        return assemble(
            _items(self.train), _items(self.validation), _items(self.tests), rules, seed
        )


def _items(sources: Mapping[str, Source]) -> Items:
    return {name: source.read() for name, source in sources.items()}
