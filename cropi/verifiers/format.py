r"""Is a completion built as it was asked to be? Says nothing of its answer.

Counting and finding of fixed marks only, so that no text takes more than linear time.
"""

from __future__ import annotations

import re
from typing import Literal

from cropi.boxed import last_boxed
from cropi.contracts import Verifier
from cropi.runtime.parts import part
from cropi.types import Prompt, Verdict

_SPECIAL = re.compile(r"<\|\w{1,40}\|>\Z")


@part
class FormatVerifier(Verifier):
    r"""Reward 1 for one thought and one marked answer, each with something in it; else 0.

    ``thinking``: *tags* wants ``<think>…</think>`` first; *end* only ``</think>``, for templates
    that open the thought; *none* no such tag at all. ``answer``: *boxed* is one ``\boxed{…}``
    in what follows the thought; *tag* is ``<answer>…</answer>`` with nothing around it; *either*
    is one of the two. Special tokens at the end (``<|im_end|>``) are no part of the form.
    """

    thinking: Literal["tags", "end", "none"] = "tags"
    answer: Literal["boxed", "tag", "either"] = "boxed"

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        shown = _after_thought(_without_special_tokens(text), self.thinking)
        fits = shown is not None and (
            (self.answer != "tag" and _is_boxed(shown))
            or (self.answer != "boxed" and _is_tagged(shown))
        )
        return Verdict(float(fits), "ok", "format")

    def completion_of(self, gold: str) -> str:
        thought = {"tags": "<think>so</think>", "end": "so</think>", "none": ""}[self.thinking]
        answer = f"<answer>{gold}</answer>" if self.answer == "tag" else rf"\boxed{{{gold}}}"
        return thought + answer


def _without_special_tokens(text: str) -> str:
    text = text.strip()
    while found := _SPECIAL.search(text, max(0, len(text) - 44)):
        text = text[: found.start()].rstrip()
    return text


def _after_thought(text: str, thinking: Literal["tags", "end", "none"]) -> str | None:
    """What follows the one thought; None when the thought is not as wanted."""
    opened, closed = text.count("<think>"), text.count("</think>")
    if (opened, closed) != {"tags": (1, 1), "end": (0, 1), "none": (0, 0)}[thinking]:
        return None
    if thinking == "none":
        return text
    thought, _, shown = text.partition("</think>")
    if thinking == "tags" and not thought.startswith("<think>"):
        return None
    return shown if thought.removeprefix("<think>").strip() else None


def _is_boxed(shown: str) -> bool:
    once = shown.count(r"\boxed") + shown.count(r"\fbox") == 1
    return once and bool(last_boxed(shown))


def _is_tagged(shown: str) -> bool:
    shown = shown.strip()
    once = shown.count("<answer>") == shown.count("</answer>") == 1
    whole = shown.startswith("<answer>") and shown.endswith("</answer>")
    return once and whole and bool(shown[len("<answer>") : -len("</answer>")].strip())
