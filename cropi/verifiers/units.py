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
_TWO_LETTERS = "cm mm km dm nm kg mg lb oz ft in yd mi ml mL cc hr kW Hz pm am"
_CHANGES_VALUE = frozenset(_NO_UNITS.split())
_SHORT = frozenset(_TWO_LETTERS.split())
LONGEST = 300  # characters; nothing longer is a number with a unit
_WORD = r"[A-Za-z][A-Za-z.]*"
_POWER = r"(?:\s*\^\s*\{?[1-3]\}?)?"
_IN_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it)|mbox)\s*\{(?P<unit>[^{}]*)\}" + _POWER + r"\Z"
)
_BARE = re.compile(rf"(?:(?<=[\d}})])|\s)(?P<unit>{_WORD}(?:[\s/-]+{_WORD})*){_POWER}\Z")
_DEGREES = re.compile(r"\^\s*\\circ\s*[CF]?\Z")
_TAKES_AN_ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")


def strip_units(text: str) -> str:
    r"""``text`` without a unit at its end: ``18\text{ cm}^2`` gives ``18``."""
    if len(text) > LONGEST or _TAKES_AN_ANGLE.search(text):
        return text
    rest = _DEGREES.sub("", text).rstrip()
    found = _IN_TEXT.search(rest)
    bare = found is None
    found = found or _BARE.search(rest)
    if found is None:
        return rest
    value = rest[: found.start()].rstrip()
    names = re.findall(r"[A-Za-z]+", found["unit"])
    if not re.search(r"[\d})]", value) or any(n.casefold() in _CHANGES_VALUE for n in names):
        return rest
    if bare and not _is_unit(names[0], attached=rest[found.start()] != " ", after=value[-1]):
        return rest
    return strip_units(value)


def _is_unit(name: str, *, attached: bool, after: str) -> bool:
    """Letters without ``\\text`` are a unit when they cannot well be a product."""
    if name in _SHORT:
        return True
    return len(name) >= 4 and after.isdigit() if attached else len(name) >= 3
