r"""What can be said of two mathematical answers without computer algebra: nearly all, exactly."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cropi.verifiers.agreement import Agreement
from cropi.verifiers.comparison import Comparison
from cropi.verifiers.congruences import congruence
from cropi.verifiers.conventions import Conventions
from cropi.verifiers.equations import comparable, sides
from cropi.verifiers.guard import too_large
from cropi.verifiers.identity import defined
from cropi.verifiers.normalise import compact, option_letter, words
from cropi.verifiers.notations import is_time, without_base
from cropi.verifiers.numbers import Oversize, read_number
from cropi.verifiers.rational import Undefined, without_outer_brackets
from cropi.verifiers.relations import inequality, region
from cropi.verifiers.shapes import Shape, refuse_nesting, shape_of, split
from cropi.verifiers.syntax import understood
from cropi.verifiers.units import split_units

LONGEST_FOR_ALGEBRA = 400  # characters
# What math-verify may understand and the parser here does not.
_COMMANDS = frozenset(
    "frac sqrt cdot times div pm mp pi infty le ge ne in cup cap setminus subset emptyset mathbb "
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log exp int sum prod lim to "
    "binom lfloor rfloor lceil rceil lvert rvert begin end pmatrix bmatrix vmatrix matrix det "
    "overline mod pmod bmod equiv circ mid cdots vec langle rangle max min gcd lcm partial "
    "alpha beta gamma delta epsilon theta lambda mu nu rho sigma tau phi chi psi omega text".split()
)
_WORD = re.compile(r"\\([A-Za-z]+)|(?<![A-Za-z\\])[A-Za-z]{4,}")
_PLAIN = re.compile(r"[\x20-\x7e]*")


def decide(gold: str, answer: str, conventions: Conventions) -> Comparison | tuple[str, str]:
    """Equal or not, for canonical texts; or the two texts that need computer algebra."""
    try:
        gold, answer = (_shallow(text) for text in (gold, answer))
        agreed = Agreement(conventions).of(gold, answer)
    except (Oversize, RecursionError):
        same = compact(gold) == compact(answer)
        return Comparison(same, "exact", "ok" if same else "oversize")
    except Undefined:
        bad = readable(gold) is False
        return Comparison(False, "none", "bad_gold" if bad else "unparsed")
    if agreed is not None:
        return Comparison(agreed, "exact")
    texts = comparable(gold, answer) or (gold, answer)
    if not worth_asking(texts[0]) and not readable(texts[0]):
        return Comparison(False, "none", "bad_gold")
    if not all(map(worth_asking, texts)):
        return Comparison(False, "none", "unparsed")
    gold, answer = (split_units(text)[0] for text in texts)
    if too_large(gold) or too_large(answer):
        return Comparison(False, "none", "oversize")
    return gold, answer


def readable(gold: str) -> bool | None:
    """Whether a gold means something here; None when only computer algebra can tell."""
    if option_letter(gold) or without_base(gold) or congruence(gold) or is_time(gold):
        return True
    try:
        gold = _shallow(gold)
        found = region(gold)
        if found is not None:
            return _readable(found)
        compared = inequality(gold)
        parts = compared[:2] if compared else sides(gold)
        return _all([_readable(shape_of(part)) for part in parts])
    except Oversize:
        return True  # as a text only


def as_text_only(gold: str) -> bool:
    """Whether a gold that is not read here is too large for computer algebra too."""
    return worth_asking(gold) and too_large(gold)


def _shallow(text: str) -> str:
    """Without layers of brackets around everything. Raises Oversize if still nested too deep."""
    text = without_outer_brackets(text) if text.startswith("((") else text
    refuse_nesting(text)
    return text


def parts_of(gold: str) -> int:
    """How many answers a list or set holds; 1 for everything else."""
    try:
        shape = shape_of(gold)
    except Oversize:
        return 1
    return len(shape.parts) if shape.kind in ("list", "set") else 1


def _readable(shape: Shape) -> bool | None:
    if shape.kind != "value":
        return _all([_readable(part) for part in shape.parts])
    if len(sides(shape.text)) > 1:
        return _all([_readable(shape_of(side)) for side in sides(shape.text)])
    pieces = split(shape.text, (":",))
    if len(pieces) > 1:
        return all(read_number(piece) is not None or understood(piece) for piece in pieces)
    if read_number(shape.text) is not None or words(shape.text) is not None:
        return True
    node = understood(split_units(shape.text.rstrip("% "))[0])
    return None if node is None else defined(node)


def _all(found: Sequence[bool | None]) -> bool | None:
    return False if False in found else None if None in found else True


def worth_asking(text: str) -> bool:
    """Whether math-verify may read what is not read here; prose and code are not sent to it."""
    if len(text) > LONGEST_FOR_ALGEBRA or not _PLAIN.fullmatch(text):
        return False
    return all(match[1] in _COMMANDS for match in _WORD.finditer(_without_environments(text)))


def _without_environments(text: str) -> str:
    return re.sub(r"\\(begin|end)\s*\{[a-z]+\*?\}", "", text)
