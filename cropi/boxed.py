r"""The last ``\boxed{…}`` of a text, found by matching braces."""

from __future__ import annotations

import re

# Several backslashes before the word are tolerated (JSON-escaped output); any other backslash pair
# is skipped whole, so that \{ and \} never count as braces.
_TOKEN = re.compile(r"\\+(?:boxed|fbox)(?![A-Za-z])\s*(?P<brace>\{)?|\\.|[{}]", re.DOTALL)
_WORD = re.compile(r"[^\s{}$\\]+")


def last_boxed(text: str) -> str | None:
    r"""The content of the last outermost ``\boxed`` or ``\fbox``, or None.

    ``\boxed 31`` without braces gives the next word. A last box that is never closed (a completion
    cut short) gives None rather than an earlier box. One pass over the text, whatever it holds.
    """
    opened: list[int | None] = []  # where each open brace's box content starts, None if no box
    start, end = -1, -1
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if token["brace"]:
            opened.append(token.end())
        elif mark == "{":
            opened.append(None)
        elif mark == "}" and opened:
            content = opened.pop()
            if content is not None:
                start, end = content, token.start()
        elif mark.lstrip("\\").startswith(("boxed", "fbox")):
            word = _WORD.match(text, token.end())
            if word:
                start, end = word.span()
    if start < 0 or any(content is not None and content > end for content in opened):
        return None
    return text[start:end].strip()
