r"""Words after a number that only name its unit.

Units are dropped, not converted: ``72 km/h`` is 72, whatever unit the gold has. Words that change
the value (``million``, ``pi``) are kept, and so are single letters outside ``\text``: ``5m`` may be
a product.
"""

from __future__ import annotations

import re

_NO_UNITS = (
    "dozen hundred thousand million billion trillion pi alpha beta gamma theta phi infinity inf "
    "sin cos tan log exp mod sqrt and or"
)
_TWO_LETTERS = "cm mm km dm nm kg mg lb oz ft in yd mi ml mL cc hr kW Hz pm am USD EUR GBP MPH"
_CHANGES_VALUE = frozenset(_NO_UNITS.split())
_SHORT = frozenset(_TWO_LETTERS.split())
LONGEST = 300  # characters; nothing longer is a number with a unit
_WORD = r"[A-Za-z][A-Za-z.]*"
_POWER = r"(?:\s*\^\s*\{?[1-3]\}?)?"
_IN_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it)|mbox)\s*\{(?P<unit>[^{}]*)\}" + _POWER + r"\Z"
)
_BARE = re.compile(rf"(?:(?<=[\d}})])|\s)(?P<unit>{_WORD}(?:[\s/-]+{_WORD})*){_POWER}\Z")
# \text{kg}\cdot\text{m}^2, \frac{\text{m}}{\text{s}}, \mathrm{m\,s^{-1}}
_NAMED = r"\\(?:text|math(?:rm|bf)|mbox)\s*\{(?:[A-Za-z./\s-]|\^\{?-?\d\}?|\\[,; ])*\}"
_COMPOSED = re.compile(
    r"(?<=[\d})])\s*(?:\\cdot|\\times)?\s*"
    rf"(?P<unit>(?:{_NAMED}|\\frac\s*\{{\s*{_NAMED}\s*\}}\s*\{{\s*{_NAMED}\s*\}}"
    r"|\^\s*\{?-?[1-4]\}?|/|\\cdot|\s)+)\Z"
)
_DEGREES = re.compile(r"\^\s*\\circ\s*[CF]?\Z")
_TAKES_AN_ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")


def strip_units(text: str) -> str:
    r"""``text`` without a unit at its end: ``18\text{ cm}^2`` gives ``18``."""
    return split_units(text)[0]


def split_units(text: str) -> tuple[str, str]:
    """The value and its unit, which is empty when there is none."""
    if len(text) > LONGEST or _TAKES_AN_ANGLE.search(text):
        return text, ""
    value = _without_last_unit(text)
    while (shorter := _without_last_unit(value)) != value:
        value = shorter
    return value, text[len(value) :].strip()


def _without_last_unit(text: str) -> str:
    rest = _DEGREES.sub("", text).rstrip()
    marked = _IN_TEXT.search(rest) or _composed(rest)
    found = marked or _BARE.search(rest)
    if found is None:
        return rest
    value = rest[: found.start()].rstrip()
    names = re.findall(r"[A-Za-z]+", found["unit"])
    if not re.search(r"[\d})]", value) or any(n.casefold() in _CHANGES_VALUE for n in names):
        return rest
    if not marked and not _is_unit(names[0], attached=rest[found.start()] != " ", after=value[-1]):
        return rest
    return value


def _composed(text: str) -> re.Match[str] | None:
    found = _COMPOSED.search(text)
    return found if found and "{" in found["unit"].replace("^{", "") else None


def _is_unit(name: str, *, attached: bool, after: str) -> bool:
    """Letters without ``\\text`` are a unit when they cannot well be a product."""
    if name in _SHORT:
        return True
    if name.isupper():
        return False  # points, as in ABC
    return len(name) >= 4 and after.isdigit() if attached else len(name) >= 3
