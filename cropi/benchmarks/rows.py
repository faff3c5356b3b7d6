"""Tables of questions and answers: which field of a row is what."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cropi.benchmarks.golds import GoldFormat, UnusableGold, golds_of
from cropi.benchmarks.normal_golds import answers_in, normal, spaced
from cropi.contracts import Dropped, Source
from cropi.runtime.errors import DataError, did_you_mean
from cropi.runtime.parts import part
from cropi.types import Prompt

_SLOT = re.compile(r"\{([^{}]+)\}")


@part
class Rows(Source):
    """A source whose rows have named fields; a subclass says where they come from.

    ``question`` is a field or a template such as ``{Body} {Question}``; ``a.b`` reads field b
    inside field a. ``family`` is the field that names the kind of task, if any. Metadata holds
    ``published_golds`` where ``normalise_golds`` changed them, and ``answers``, their number, where
    the field ``multiple_answers`` (or a list of several parts) says that there are several.
    """

    question: str = "question"
    answer: str = "answer"
    gold: GoldFormat = "plain"
    normalise_golds: bool = True
    multiple_answers: str | None = None
    family: str | None = None

    @abstractmethod
    def rows(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """Pairs (where it stands, row) in a fixed order."""

    def place(self, where: str) -> str:
        """Where a row stands, for reports: the same on every machine."""
        return where

    def read(self) -> Iterator[Prompt | Dropped]:
        """One prompt or drop a row. Raises DataError when a mapped field is not in the row."""
        for where, row in self.rows():
            yield self._prompt(where, row)

    def _prompt(self, where: str, row: Mapping[str, Any]) -> Prompt | Dropped:
        question = self._fill("question", self.question, where, row)
        answer = self._field("answer", self.answer, where, row)
        family = "" if self.family is None else self._field("family", self.family, where, row)
        if not question:
            return Dropped("empty question", self.place(where))
        try:
            golds, metadata = self._golds(answer, where, row)
        except UnusableGold as problem:
            return Dropped(str(problem), f"{self.place(where)}: {question[:60]!r}")
        except TypeError as problem:
            raise DataError(
                f"{where}: the answer field {self.answer!r} {problem}, which gold={self.gold} does "
                f"not take; gold=list joins a list's parts, gold=any_of takes each as an answer"
            ) from problem
        return Prompt.create(
            question, golds, source=self.name, family=str(family or ""), metadata=metadata
        )

    def _golds(
        self, answer: Any, where: str, row: Mapping[str, Any]
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """The golds and what metadata says of them. Raises UnusableGold and TypeError."""
        published = golds = golds_of(answer, self.gold)
        metadata: dict[str, Any] = {}
        several = self.gold == "list" and isinstance(answer, list) and len(answer) > 1
        if self.multiple_answers is not None:
            said = self._field("multiple_answers", self.multiple_answers, where, row)
            if str(said).lower() in ("true", "1", "yes"):
                several, golds = True, tuple(map(spaced, golds))
        if self.normalise_golds:
            golds = tuple(dict.fromkeys(filter(None, map(normal, golds))))
            if not golds:
                raise UnusableGold("empty gold")
            if golds != published:
                metadata["published_golds"] = list(published)
        if several:
            metadata["answers"] = len(answers_in(golds[0]))
        return golds, metadata

    def _fill(self, option: str, template: str, where: str, row: Mapping[str, Any]) -> str:
        if "{" not in template:
            template = f"{{{template}}}"
        # Not str.format: a template must not reach into the attributes of what a row holds.
        return _SLOT.sub(
            lambda slot: _shown(self._field(option, slot[1], where, row)), template
        ).strip()

    def _field(self, option: str, name: str, where: str, row: Mapping[str, Any]) -> Any:
        if name in row:
            return row[name]
        value: Any = row
        for step in name.split("."):
            if not isinstance(value, Mapping) or step not in value:
                found = [str(key) for key in row]
                raise DataError(
                    f"{where}: there is no field {name!r}{did_you_mean(name, found)}; its fields "
                    f"are {', '.join(found) or 'none'}. Name the right one with {option}="
                )
            value = value[step]
        return value


def _shown(value: Any) -> str:
    return "" if value is None else str(value).strip()
