"""Your own files as a benchmark: name a training and a test file, and go."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cropi.benchmarks.assembly import Overlap, Rules, assemble
from cropi.benchmarks.files import File, Paths
from cropi.benchmarks.golds import GoldFormat
from cropi.contracts import Benchmark, PositiveInt, Prompts
from cropi.runtime.parts import part


@part
class Local(Benchmark):
    """One pool, one validation set and one targeted test set, all with the same fields.

    Without ``validation_file``, ``validation_share`` of the test file guides the selection and is
    not reported.
    """

    train_file: Paths
    test_file: Paths
    validation_file: Paths | None = None
    validation_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    question: str = "question"
    answer: str = "answer"
    gold: GoldFormat = "plain"
    normalise_golds: bool = True
    multiple_answers: str | None = None
    family: str | None = None
    overlap: Overlap = "drop"
    near_overlap: Overlap = "warn"
    pool_limit: PositiveInt | None = None
    test_limit: PositiveInt | None = None
    max_new_tokens: PositiveInt = 1024
    max_prompt_tokens: PositiveInt = 1024

    def load(self, seed: int) -> Prompts:
        """Read, clean and split the files. Raises DataError naming file and row."""
        validation = self.validation_file
        return assemble(
            train={"local": self._file(self.train_file).read()},
            validation={} if validation is None else {"local": self._file(validation).read()},
            tests={"local": self._file(self.test_file).read()},
            rules=Rules(
                targeted=["local"],
                validation_share=self.validation_share,
                overlap=self.overlap,
                near_overlap=self.near_overlap,
                pool_limit=self.pool_limit,
                test_limit=self.test_limit,
            ),
            seed=seed,
        )

    def _file(self, path: Paths) -> File:
        return File(
            path=path,
            question=self.question,
            answer=self.answer,
            gold=self.gold,
            normalise_golds=self.normalise_golds,
            multiple_answers=self.multiple_answers,
            family=self.family,
        )
