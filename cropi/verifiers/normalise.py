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
    "∈": r"\in ", "°": r"^\circ ", "√": r"\sqrt ", "∅": r"\emptyset ",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "⟨": r"\langle ",
    "⟩": r"\rangle ", "〈": r"\langle ", "〉": r"\rangle ", "′": "'", "’": "'", "…": r"\ldots ",
    "∨": r"\vee ", "∧": r"\wedge ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ",
    "δ": r"\delta ", "λ": r"\lambda ", "μ": r"\mu ", "σ": r"\sigma ", "τ": r"\tau ",
    "φ": r"\phi ", "ω": r"\omega ", "ε": r"\epsilon ", "ρ": r"\rho ",
})
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_VULGAR = re.compile(r"(\d?)\s*([¼-¾⅐-⅞])")
_RAISED = re.compile("[⁰¹²³⁴-⁹⁺⁻ⁿ]+")
_LOWERED = re.compile("[₀-₉]+")
_WRAPPED = re.compile(
    r"\\(?:text(?:bf|it|rm|normal|tt|sf)?|math(?:rm|bf|it|sf)|mbox|operatorname)\s*"
    r"\{((?:[^{}\\]|\\.)*)\}"
)
# NFKC makes plain letters of these.
_BLACKBOARD = str.maketrans({
    letter: rf"\mathbb{{{plain}}}" for letter, plain in zip("ℝℕℤℚℂ", "RNZQC", strict=True)
})
_SIMPLE = re.compile(r"-?(?:[1-9]\d*|0)(?:\.\d+)?|[A-Za-z]")
_TYPED = "arcsin arccos arctan sinh cosh tanh sin cos tan cot sec csc ln log exp sqrt pi gcd lcm"
_TOKEN = r"\d|[A-Za-z]|\\(?!frac|sqrt)[A-Za-z]+"  # what TeX takes for an argument without braces
_REWRITES = tuple((re.compile(pattern), new) for pattern, new in (
    (r"\\!|\\(?:displaystyle|textstyle|limits|boldsymbol|bf|rm)(?![A-Za-z])", ""),
    (r"\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])\.?", ""),
    (r"\\phantom\s*(?:\{[^{}]*\}|-)", ""),
    (r"\\lbrace(?![A-Za-z])", r"\\{"), (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"(?<!\\)\\(?:[,;: ]|q?quad(?![A-Za-z])|thinspace(?![A-Za-z]))|~", " "),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"), (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
    (r"\\(?:mathbf|mathit|mathsf|boldsymbol|vec)\s*\{\s*([A-Za-z])\s*\}", r" \1"),
    (r"\\(?:mathrm|text)\s*\{\s*([ei])\s*\}", r" \1"),
    (r"\\color\s*\{\w*\}|\\textcolor\s*\{\w*\}|\\underline(?![A-Za-z])", ""),
    (r"\{([^{}]*)\\over(?![A-Za-z])([^{}]*)\}", r"\\frac{\1}{\2}"),
    (r"\{([^{}]*)\\choose(?![A-Za-z])([^{}]*)\}", r"\\binom{\1}{\2}"),
    (r"\{:\}|\\colon(?![A-Za-z])|\\text\s*\{\s*to\s*\}", ":"),
    (r"\\(?:dots[cbmio]?|cdots|ldotp)(?![A-Za-z])|\.\.\.", r"\\ldots "),
    (r"\\overline\s*(\d)", r"\\overline{\1}"),
    (rf"\\(?:operatorname|mathrm|text)\s*\{{\s*({_TYPED.replace(' ', '|')})\s*\}}", r" \\\1 "),
    (rf"(?<![A-Za-z\\])({_TYPED.replace(' ', '|')})(?![A-Za-z])", r" \\\1 "),
    (r"(?<=[\w)}])\s*\*\*\s*(?=[\w({-])", "^"),
    (r"\\(?:hspace|vspace)\s*\{[^{}]*\}|\\(?:mathstrut|strut|nonumber)(?![A-Za-z])", " "),
    (r"\\lt(?![A-Za-z])", "<"), (r"\\gt(?![A-Za-z])", ">"),
    (r"\\(?:lvert|rvert|vert)(?![A-Za-z])", "|"), (r"\\mid(?![A-Za-z])", "|"),
    (r"(?<=\d)\{,\}(?=\d{3}(?!\d))", ""), (r"\{,\}", ","),
    (r"\\%", "%"), (r"\\?\$|[€£¥₹]|\\(?:euro|pounds)(?![A-Za-z])", ""),
    (r"\^\s*\{\s*\\circ\s*\}|\\degree(?![A-Za-z])", r"^\\circ"),
    (r"\\leqs?lant(?![A-Za-z])|\\leq(?![A-Za-z])|<=", r"\\le "),
    (r"\\geqs?lant(?![A-Za-z])|\\geq(?![A-Za-z])|>=", r"\\ge "),
    (r"\\neq(?![A-Za-z])", r"\\ne "),
    (r"\\text\s*\{\s*(infinity|percent)\s*\}", r" \1"),
    (r"(?<![A-Za-z\\])infinity\b", r"\\infty"), (r"(?<=\d)\s*percent\b", "%"),
    (rf"\\(frac|binom)\s*({_TOKEN})", r"\\\1{\2}"),
    (rf"(\\(?:frac|binom)\s*\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}})\s*({_TOKEN})", r"\1{\2}"),
    (r"\\sqrt\s*(\d+|[A-Za-z](?![A-Za-z]))", r"\\sqrt{\1}"),
    (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
    (r"\s+", " "),
))
_COUNTING = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_COUNTING.split())}
_PROSE = re.compile(r"[A-Za-z][A-Za-z0-9'. -]*")
_NAMED = re.compile(r"[A-Za-z]{3,}\.? ")  # "June 20", but not "x2"
_SEVERAL = re.compile(r",|\b(?:and|or)\b")
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
    kept = _VULGAR.sub(_vulgar_fraction, kept.translate(_BLACKBOARD))
    kept = "".join(str(unicodedata.decimal(c, c)) for c in _plain(kept))
    return kept.translate(_SIGNS)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _vulgar_fraction(match: re.Match[str]) -> str:
    above, below = _plain(match[2]).split("⁄")
    return rf"{match[1]}\frac{{{above}}}{{{below}}}"


def canonical(answer: str, decimal_comma: bool = False) -> str:
    r"""Unicode, spacing, brackets, fractions, currency signs and number words in one spelling."""
    if _SIMPLE.fullmatch(answer):
        return answer
    text = trim(plain_characters(answer))
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if "boxed" in text or "fbox" in text:  # a gold taken from a solution with its box
        text = last_boxed(text) or text
    for pattern, new in _REWRITES:
        text = pattern.sub(new, text)
    text = trim(text)
    wrapped = _WRAPPED.fullmatch(text)
    if wrapped and (wrapped[1].lstrip(" -")[:1].isdigit() or _SEVERAL.search(wrapped[1])):
        text = trim(wrapped[1])  # \text{13}, \text{18 apples}, \text{Alice, Bob}, \text{A and B}
    while text.startswith("{") and text.endswith("}") and "{" not in text[1:]:
        text = trim(text[1:-1])
    return _NUMBER_WORDS.get(unwrapped(text).casefold(), text)


def unwrapped(text: str) -> str:
    r"""``\text{…}`` and its relatives replaced by what they hold."""
    while "{" in text:
        inner = _WRAPPED.sub(r"\1", text)
        if inner == text:
            break
        text = inner
    return trim(text)


def compact(text: str) -> str:
    """Without spaces but those between digits: texts that agree here are the same answer."""
    return re.sub(r"\s+", "", re.sub(r"(?<=\d)\s+(?=\d)", "\0", text))


def words(text: str) -> str | None:
    r"""The answer in lower case when it is prose (``\text{…}``, or four letters and more)."""
    bare = unwrapped(text)
    if _WRAPPED.fullmatch(text) and len(bare) > 1 and any(c.isalpha() for c in bare):
        return bare.casefold()
    if not _PROSE.fullmatch(bare) or (any(c.isdigit() for c in bare) and not _NAMED.match(bare)):
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
