r"""Where the answer stands in a completion.

Pure text functions, linear in the length of the completion. A *way* is one place to look; a
verifier is given the ways it may try, in order. Nothing inside ``<think>`` counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from cropi.boxed import last_boxed

Way = Literal["boxed", "tag", "hash", "stated", "last_number", "whole"]

_HASH = re.compile(r"####\s*([^\n]+)")
_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_STATED = re.compile(r"(?i:\banswer\b)[*_]{0,3}\s*(?::|\bis\b)\s*:?\s*([^\n]+)")
_SENTENCE_END = re.compile(r"\.\s+[A-Z]")
_SPECIAL = re.compile(r"<\|\w+\|>\s*\Z")
_NUMBER = re.compile(
    r"\\[dtc]?frac\{-?\d+\}\{-?\d+\}"
    r"|(?<![A-Za-z_\d.,])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:\s?/\s?\d+(?!\d|\.\d))?"
    r"|(?<![\w.])\.\d+"
)
# Pairs that only present an answer, longest first.
_WRAPPERS = (
    ("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"),
    ("***", "***"), ("**", "**"), ("__", "__"), ("`", "`"),
)


def after_thinking(text: str) -> str:
    """What follows the last ``</think>``, without a thought that was never finished."""
    return text.rpartition("</think>")[2].partition("<think>")[0]


def trim(answer: str) -> str:
    r"""Without outer spaces, ``$…$``, ``\(…\)``, markdown emphasis and trailing ``. , ; :``."""
    while True:
        before = answer
        answer = _SPECIAL.sub("", answer.strip()).rstrip(" \t\n.,;:").lstrip()
        for left, right in _WRAPPERS:
            inside = answer[len(left) : -len(right)]
            whole = len(answer) > len(left) + len(right) and left not in inside
            if whole and answer.startswith(left) and answer.endswith(right):
                answer = inside
        if answer.endswith("**") and answer.count("**") == 1:  # "**Answer: 73**" cut in two
            answer = answer[:-2]
        if answer == before:
            return answer


def hash_answer(text: str) -> str | None:
    """The rest of the line after the last ``####``, as GSM8K writes its answers."""
    found = _HASH.findall(text)
    return found[-1] if found else None


def tagged(text: str) -> str | None:
    """The content of the last ``<answer>…</answer>``."""
    found = _TAG.findall(text)
    return found[-1] if found else None


def stated(text: str) -> str | None:
    """What the last "answer is …" or "answer: …" says, to the end of its sentence."""
    found = _STATED.findall(text)
    return _SENTENCE_END.split(found[-1])[0] if found else None


def last_number(text: str) -> str | None:
    """The last number standing by itself, with its sign; a simple fraction counts as one."""
    last = None
    for last in _NUMBER.finditer(text):
        pass
    if last is None:
        return None
    before = text[: last.start()].rstrip("$ ")
    signed = before.endswith(("-", "−")) and not re.search(r"[\w)\]}]\s*.\Z", before)
    return ("-" if signed else "") + last.group()


_WAYS: Mapping[Way, Callable[[str], str | None]] = {
    "boxed": last_boxed, "tag": tagged, "hash": hash_answer, "stated": stated,
    "last_number": last_number, "whole": lambda text: text,
}


def extract(text: str, ways: Sequence[Way]) -> str | None:
    """The answer by the first way that finds one, trimmed; None when no way does.

    With ``whole`` as the last way, an answer that was already extracted comes back unchanged.
    """
    shown = after_thinking(text)
    for way in ways:
        found = _WAYS[way](shown)
        answer = trim(found) if found is not None else ""
        if answer:
            return answer
        if way == "boxed" and found is not None:
            return None  # an empty box is an answer not given, not a reason to look elsewhere
    return None
