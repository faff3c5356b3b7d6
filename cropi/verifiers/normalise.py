r"""One spelling for answers that only look different.

``canonical`` undoes Unicode forms and LaTeX cosmetics and keeps the meaning; ``compact`` is the
form in which two equal texts are equal; ``words`` recognises an answer in prose.
"""

from __future__ import annotations

import re
import unicodedata

from cropi.boxed import last_boxed
from cropi.verifiers.extraction import trim

_SIGNS = str.maketrans({
    "−": "-", "–": "-", "‐": "-", "‑": "-", "⁄": "/", "∕": "/", "×": r"\times ", "·": r"\cdot ",
    "⋅": r"\cdot ", "÷": r"\div ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "∞": r"\infty ", "π": r"\pi ", "θ": r"\theta ", "±": r"\pm ", "∪": r"\cup ", "∩": r"\cap ",
    "∈": r"\in ", "°": r"^\circ ", "√": r"\sqrt ",
})
_VULGAR = re.compile(r"(\d?)\s*([¼-¾⅐-⅞])")
_RAISED = re.compile("[⁰¹²³⁴-⁹⁺⁻ⁿ]+")
_LOWERED = re.compile("[₀-₉]+")
_WRAPPED = re.compile(
    r"\\(?:text(?:bf|it|rm|normal|tt|sf)?|math(?:rm|bf|it|sf)|mbox|operatorname)\s*"
    r"\{((?:[^{}\\]|\\.)*)\}"
)
_TOKEN = r"\d|[A-Za-z]|\\(?!frac|sqrt)[A-Za-z]+"  # what TeX takes for an argument without braces
_REWRITES = tuple((re.compile(pattern), new) for pattern, new in (
    (r"\\!|\\(?:displaystyle|textstyle|limits|boldsymbol|bf|rm)(?![A-Za-z])", ""),
    (r"\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])\.?", ""),
    (r"\\phantom\s*(?:\{[^{}]*\}|-)", ""),
    (r"\\lbrace(?![A-Za-z])", r"\\{"), (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"(?<!\\)\\(?:[,;: ]|q?quad(?![A-Za-z])|thinspace(?![A-Za-z]))|~", " "),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\{,\}", ","),
    (r"\\%", "%"), (r"\\?\$|[€£¥₹]|\\(?:euro|pounds)(?![A-Za-z])", ""),
    (r"\^\s*\{\s*\\circ\s*\}|\\degree(?![A-Za-z])", r"^\\circ"),
    (r"\\leqs?lant(?![A-Za-z])|\\leq(?![A-Za-z])|<=", r"\\le "),
    (r"\\geqs?lant(?![A-Za-z])|\\geq(?![A-Za-z])|>=", r"\\ge "),
    (r"\\neq(?![A-Za-z])", r"\\ne "),
    (r"\\text\s*\{\s*(infinity|percent)\s*\}", r" \1"),
    (r"(?<![A-Za-z\\])infinity\b", r"\\infty"), (r"(?<=\d)\s*percent\b", "%"),
    (rf"\\frac\s*({_TOKEN})", r"\\frac{\1}"),
    (rf"(\\frac\s*\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}})\s*({_TOKEN})", r"\1{\2}"),
    (r"\\sqrt\s*(\d+|[A-Za-z](?![A-Za-z]))", r"\\sqrt{\1}"),
    (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
    (r"\s+", " "),
))
_COUNTING = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_COUNTING.split())}
_PROSE = re.compile(r"[A-Za-z][A-Za-z' -]*")
_OPTION = re.compile(r"\(?([A-J])\)?")
_CHOSEN = re.compile(r"(?:\(([A-J])\)|([A-J])[).:])\s.*", re.DOTALL)


def plain_characters(text: str) -> str:
    """NFKC without its traps (``x²`` is not ``x2``, ``3¼`` not ``31/4``), no invisible marks."""
    if text.isascii() and text.isprintable():
        return text
    kept = "".join(
        c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs")
    )
    kept = _RAISED.sub(lambda m: "^{" + _plain(m.group()) + "}", kept)
    kept = _LOWERED.sub(lambda m: "_{" + _plain(m.group()) + "}", kept)
    kept = _VULGAR.sub(_vulgar_fraction, kept)
    return _plain(kept).translate(_SIGNS)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _vulgar_fraction(match: re.Match[str]) -> str:
    above, below = _plain(match[2]).split("⁄")
    return rf"{match[1]}\frac{{{above}}}{{{below}}}"


def canonical(answer: str) -> str:
    r"""Unicode, spacing, brackets, fractions, currency signs and number words in one spelling."""
    text = trim(plain_characters(answer))
    if "boxed" in text:  # a gold taken from a solution with its box
        text = last_boxed(text) or text
    for pattern, new in _REWRITES:
        text = pattern.sub(new, text)
    text = trim(text)
    wrapped = _WRAPPED.fullmatch(text)
    if wrapped and wrapped[1].strip(" 0123456789.,/-") == "":
        text = trim(wrapped[1])  # \text{13} is the number 13
    while text.startswith("{") and text.endswith("}") and "{" not in text[1:]:
        text = trim(text[1:-1])
    return _NUMBER_WORDS.get(unwrapped(text).casefold(), text)


def unwrapped(text: str) -> str:
    r"""``\text{…}`` and its relatives replaced by what they hold."""
    while True:
        inner = _WRAPPED.sub(r"\1", text)
        if inner == text:
            return trim(text)
        text = inner


def compact(text: str) -> str:
    """Without spaces: two canonical texts that agree here are the same answer."""
    return re.sub(r"\s+", "", text)


def words(text: str) -> str | None:
    r"""The answer in lower case when it is prose (``\text{…}``, or four letters and more)."""
    bare = unwrapped(text)
    if not _PROSE.fullmatch(bare):
        return None
    said_in_text = bare != text and len(bare) > 1
    return bare.casefold() if said_in_text or len(bare) >= 4 else None


def option_letter(text: str) -> str | None:
    r"""The letter of a multiple-choice answer: ``C``, ``(C)``, ``\textbf{(C)}``."""
    match = _OPTION.fullmatch(unwrapped(text))
    return match[1] if match else None


def chosen_letter(text: str) -> str | None:
    r"""The same, also where the option's text follows: ``(C) 17``, ``C. 17``."""
    match = _CHOSEN.fullmatch(unwrapped(text))
    return (match[1] or match[2]) if match else option_letter(text)
