r"""The last ``\boxed{…}`` of a text, found by matching braces."""

from __future__ import annotations

import re

# A run of backslashes is taken whole: several before the word are tolerated (JSON-escaped output),
# an odd number before a brace escapes it, and no text takes more than linear time.
_TOKEN = re.compile(
    r"(?P<run>\\++)(?:(?P<box>(?:boxed|fbox)(?![A-Za-z])\s*+)(?P<open>\{)?|(?P<escaped>[{}]))?|[{}]"
)
_WORD = re.compile(r"[^\s{}$\\]+")


def last_boxed(text: str) -> str | None:
    r"""The content of the last outermost ``\boxed`` or ``\fbox``, or None.

    ``\boxed 31`` without braces gives the next word. A last box that is never closed (a completion
    cut short) gives None rather than an earlier box.
    """
    opened: list[int | None] = []  # for each open brace: where its box's content starts, or None
    start, end = -1, -1
    for token in _TOKEN.finditer(text):
        brace = token["escaped"] or token.group()
        if token["open"]:
            opened.append(token.end())
        elif token["box"]:
            word = _WORD.match(text, token.end())
            start, end = word.span() if word else (start, end)
        elif token["escaped"] and len(token["run"]) % 2:
            continue
        elif brace == "{":
            opened.append(None)
        elif brace == "}" and opened:
            content = opened.pop()
            start, end = (start, end) if content is None else (content, token.start())
    if start < 0 or any(content is not None and content > end for content in opened):
        return None
    return text[start:end].strip()
