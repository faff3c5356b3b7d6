"""Answers that are words or symbols, compared as text."""

from __future__ import annotations

from pydantic import Field

from cropi.runtime.parts import part
from cropi.verifiers.answers import AnswerVerifier, spelled
from cropi.verifiers.comparison import Comparison
from cropi.verifiers.extraction import Ways, ways
from cropi.verifiers.normalise import compact, unwrapped


@part
class ExactVerifier(AnswerVerifier):
    r"""Equal after light normalisation: Unicode forms, spaces, ``$…$``, ``\text{…}``, end marks.

    Nothing is computed: 0.5 and 1/2 differ.
    """

    extraction: Ways = Field(default_factory=ways("boxed", "tag", "hash", "whole"))
    case_sensitive: bool = False

    def compare(self, gold: str, answer: str) -> Comparison:
        return Comparison(self._form(gold) == self._form(answer), "exact")

    def _form(self, text: str) -> str:
        form = compact(unwrapped(spelled(text)))
        return form if self.case_sensitive else form.casefold()
