r"""Where the answer stands in a completion.

Pure text functions, linear in the length of the completion. A *way* is one place to look; a
verifier is given the ways it may try, in order. Nothing inside ``<think>`` counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from cropi.boxed import every_boxed, last_boxed

Way = Literal["boxed", "all_boxed", "tag", "hash", "stated", "last_number", "whole"]
Ways = Annotated[list[Way], Field(min_length=1)]  # the option of a verifier

_HASH = re.compile(r"####\s*([^\n]+)")
_STATED = re.compile(r"(?i:\banswer\b)[*_]{0,3}\s*(?::|\bis\b)\s*:?\s*([^\n]+)")
_SENTENCE_END = re.compile(r"\.\s+[A-Z]")
_SPECIAL = re.compile(r"<\|\w+\|>\s*\Z")
# "to -8" and "= - 8" are signs; "10-8" and "x - 8" subtract.
_SIGN = re.compile(r"(?:(?:\A|[^\w)\]}\s])\s*[-−]\s*|\s[-−])\Z")
_NUMBER = re.compile(
    r"\\[dtc]?frac\{-?\d+\}\{-?\d+\}"
    r"|(?<![A-Za-z_\d.,])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:\s?/\s?\d+(?!\d|\.\d))?"
    r"(?:\s?\\?%)?"
    r"|(?<![\w.])\.\d+"
)
# Pairs that only present an answer, longest first.
_WRAPPERS = (
    ("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"),
    ("***", "***"), ("**", "**"), ("__", "__"), ("`", "`"),
)


_WRAPPING = frozenset(left[0] for left, _ in _WRAPPERS)


def ways(*names: Way) -> Callable[[], list[Way]]:
    """A default for a verifier's option."""
    return lambda: list(names)


def after_thinking(text: str) -> str:
    """What follows the last ``</think>``, without a thought that was never finished."""
    return text.rpartition("</think>")[2].partition("<think>")[0]


def trim(answer: str) -> str:
    r"""Without outer spaces, ``$…$``, ``\(…\)``, markdown emphasis and trailing ``. , ; :``."""
    while not answer.isalnum():
        before = answer
        answer = _SPECIAL.sub("", answer.strip()).rstrip(" \t\n.,;:").lstrip()
        for left, right in _WRAPPERS if answer[:1] in _WRAPPING else ():
            inside = answer[len(left) : -len(right)]
            whole = len(answer) > len(left) + len(right) and left not in inside
            if whole and answer.startswith(left) and answer.endswith(right):
                answer = inside
        if answer.endswith("**") and answer.count("**") == 1:  # "**Answer: 73**" cut in two
            answer = answer[:-2]
        if answer == before:
            break
    return answer


def hash_answer(text: str) -> str | None:
    """The rest of the line after the last ``####``, as GSM8K writes its answers."""
    found = _HASH.findall(text)
    return found[-1] if found else None


def tagged(text: str) -> str | None:
    """The content of the last ``<answer>…</answer>``."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, max(end, 0))
    return text[start + len("<answer>") : end] if start >= 0 else None


def stated(text: str) -> str | None:
    """What the last "answer is …" or "answer: …" says, to the end of its sentence."""
    found = _STATED.findall(text)
    return _SENTENCE_END.split(found[-1])[0] if found else None


def last_number(text: str) -> str | None:
    """The last number standing by itself, with its sign; a simple fraction counts as one."""
    found = list(_NUMBER.finditer(text))
    if not found:
        return None
    last = found[-1]
    before = text[max(0, last.start() - 8) : last.start()].rstrip("$")
    return ("-" if _SIGN.search(before) else "") + last.group()


def all_boxed(text: str) -> str | None:
    """The contents of all boxes, as one list; None when the last is not closed."""
    found = every_boxed(text)
    return None if not found else ", ".join(dict.fromkeys(found))


def boxes_in_last_line(text: str) -> list[str]:
    """The contents of the boxes in the last line that is not empty, after all thinking."""
    return every_boxed(after_thinking(text).rstrip().rpartition("\n")[2])


def presented(answer: str, way: Way) -> str:
    """A completion in which ``way`` finds ``answer``."""
    match way:
        case "boxed" | "all_boxed":
            return rf"\boxed{{{answer}}}"
        case "tag":
            return f"<answer>{answer}</answer>"
        case "hash":
            return f"#### {answer}"
        case "stated":
            return f"The answer is {answer}"
        case "last_number" | "whole":
            return answer


_WAYS: Mapping[Way, Callable[[str], str | None]] = {
    "boxed": last_boxed, "all_boxed": all_boxed, "tag": tagged, "hash": hash_answer,
    "stated": stated, "last_number": last_number, "whole": lambda text: text,
}


def locate(text: str, order: Sequence[Way]) -> str | None:
    """The answer as it is written, by the first way that finds one; None when no way does."""
    shown = after_thinking(text)
    for way in order:
        found = _WAYS[way](shown)
        if found is not None and trim(found):
            return found.strip()
        if way in ("boxed", "all_boxed") and found is not None:
            return None  # an empty box is an answer not given, not a reason to look elsewhere
    return None


def extract(text: str, order: Sequence[Way]) -> str | None:
    """The same, trimmed. With ``whole`` as the last way an extracted answer stays as it is."""
    found = locate(text, order)
    return None if found is None else trim(found)
