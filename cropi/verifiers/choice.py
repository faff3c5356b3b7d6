r"""Multiple choice: the answer is the letter of one option."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import Field

from cropi.runtime.parts import part
from cropi.verifiers.answers import AnswerVerifier
from cropi.verifiers.comparison import Comparison
from cropi.verifiers.extraction import Ways, ways

_STYLE = re.compile(r"\\(?:text|math)?(?:bf|rm|sf|it|tt|up|normal)?(?![A-Za-z])|\\[ ,;!]|[{}$*~`]")
_NAMED = re.compile(r"(?i:option|choice|answer)\b\s*:?\s*")
_LETTER = re.compile(r"\(([A-Za-z])\)|\[([A-Za-z])\]|([A-Za-z])(?:\)|[.:](?=\s|\Z)|\Z)")
# "(A) or (B)", "(A)(B)", "A) 5, C) 7": two options are no choice.
_ANOTHER = re.compile(
    r"\s*(?:[,;/&]|(?:or|and)\b|[(\[][A-Za-z][)\]])|.*?(?<![^\s,;/])\(?[A-Za-z]\)", re.DOTALL
)


@part
class ChoiceVerifier(AnswerVerifier):
    r"""The gold is a letter; the answer names the same one, with or without its text.

    Understands ``C``, ``(C)``, ``[C]``, ``C.``, ``C) 17``, ``Option C``, ``\textbf{(C)}`` and
    ``\text{(C) } 17``. Strict otherwise: the text of an option without its letter is not read, and
    two letters are none. ``options`` are the first letters of the alphabet that can be chosen.
    """

    extraction: Ways = Field(default_factory=ways("boxed", "tag"))
    options: Annotated[int, Field(ge=2, le=26)] = 10
    lower_case: bool = False

    def compare(self, gold: str, answer: str) -> Comparison:
        given = self._letter(answer)
        if given is None:
            return Comparison(False, "none", "unparsed")
        return Comparison(given == self._letter(gold), "choice")

    def gold_fault(self, gold: str) -> str | None:
        fault = super().gold_fault(gold)
        if fault is None and self._letter(gold) is None:
            return f"not a letter from A to {chr(ord('A') + self.options - 1)}"
        return fault

    def _letter(self, text: str) -> str | None:
        plain = _STYLE.sub("", unicodedata.normalize("NFKC", text)).strip()
        named = _NAMED.match(plain)
        found = _LETTER.match(plain, named.end() if named else 0)
        if found is None or _ANOTHER.match(plain, found.end()):
            return None
        letter = found[1] or found[2] or found[3]
        if self.lower_case:
            letter = letter.upper()
        return letter if 0 <= ord(letter) - ord("A") < self.options else None
