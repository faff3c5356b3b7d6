r"""The ``\boxed{…}`` of a text, found by matching braces."""

from __future__ import annotations

import re

# A run of backslashes is taken whole: several before the word are tolerated (JSON-escaped output),
# an odd number before a brace escapes it, and no text takes more than linear time.
_TOKEN = re.compile(
    r"(?P<run>\\++)(?:(?P<box>(?:boxed|fbox)(?![A-Za-z])\s*+)(?P<open>\{)?|(?P<escaped>[{}]))?|[{}]"
)
_ONLY = re.compile(r"(?<!\\)\\boxed\{([^{}\\]*)\}")  # the common case, without a scan
_WORD = re.compile(r"[^\s{}$\\]+")


def last_boxed(text: str) -> str | None:
    r"""The content of the last outermost ``\boxed`` or ``\fbox``, or None.

    ``\boxed 31`` without braces gives the next word. A last box that is never closed (a completion
    cut short) gives None rather than an earlier box.
    """
    only = _ONLY.search(text) if text.count("box") == 1 else None
    if only:
        return only[1].strip()
    found = every_boxed(text)
    return found[-1] if found else None


def every_boxed(text: str) -> list[str]:
    """The contents of all outermost boxes in their order; none when the last is never closed."""
    if "boxed" not in text and "fbox" not in text:
        return []
    opened: list[int | None] = []  # for each open brace: where its box's content starts, or None
    spans: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(text):
        brace = token["escaped"] or token.group()
        if token["open"]:
            opened.append(token.end())
        elif token["box"]:
            word = _WORD.match(text, token.end())
            if word:
                spans.append(word.span())
        elif token["escaped"] and len(token["run"]) % 2:
            continue
        elif brace == "{":
            opened.append(None)
        elif brace == "}" and opened:
            content = opened.pop()
            if content is not None:
                while spans and spans[-1][0] >= content:
                    spans.pop()  # boxes within this one
                spans.append((content, token.start()))
    last = spans[-1][1] if spans else -1
    if any(content is not None and content > last for content in opened):
        return []
    return [text[start:end].strip() for start, end in spans]
