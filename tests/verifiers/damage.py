"""Damage done to answers, and what must hold of every verdict all the same."""

from __future__ import annotations

from random import Random

from cropi.boxed import last_boxed
from cropi.types import Verdict

STATUSES = {"ok", "no_answer", "unparsed", "timeout", "oversize", "bad_gold", "crashed"}

_PIECES = [
    "{", "}", "(", ")", "[", "]", r"\frac", r"\sqrt", "^", "_", "!", ",", ";", ":", "=", "<",
    r"\le ", r"\pm ", r"\cup ", r"\{", r"\}", "$", "%", r"\%", "&", "\\", r"\\", "|", ".", "-", "+",
    "*", "/", "'", '"', "`", "~", "0", "9", "99999999", "1e9", "x", "y", "i", "e", r"\pi",
    r"\infty", r"\emptyset", r"\text{", r"\text{ cm}", r"\boxed{", "</think>", "<think>", r"^\circ",
    r"\begin{pmatrix}", r"\end{pmatrix}", "\x00", "\u202e", "\u200b", "\ud800", "½", "²", "−", "π",
    "１", "\n", "\t", "__import__('os')", "{0.__class__}", "%s", "lambda:0", r"\log", r"\sin ",
    r"\overline{", r"\binom", " or ", " and ", r"\approx ", r"\in ", r"\bmod ", "a.m.", r"\left(",
    r"\right)",
]


def damaged(text: str, random: Random) -> str:
    """Characters lost, doubled, moved or strewn in, a few times over."""
    for _ in range(random.randint(1, 4)):
        at, to = sorted(random.randint(0, len(text)) for _ in range(2))
        kind = random.choice(["insert", "insert", "delete", "double", "cut", "reverse", "digit"])
        if kind == "insert":
            text = text[:at] + random.choice(_PIECES) + text[at:]
        elif kind == "delete":
            text = text[:at] + text[at + random.randint(1, 3) :]
        elif kind == "double":
            text = text[:to] + text[at:to] * random.randint(1, 3) + text[to:]
        elif kind == "cut":
            text = text[:to] if random.random() < 0.5 else text[at:]
        elif kind == "reverse":
            text = text[:at] + text[at:to][::-1] + text[to:]
        else:
            text = "".join(random.choice("0123456789") if c.isdigit() else c for c in text)
    return text[:2000]


def fault(verdict: Verdict) -> str | None:
    """What is wrong with a verdict, whatever was graded; None when nothing is."""
    if verdict.status not in STATUSES:
        return f"status {verdict.status}"
    if verdict.reward not in (0.0, 1.0, None):
        return f"reward {verdict.reward}"
    if (verdict.reward is None) != (verdict.status == "bad_gold"):
        return f"reward {verdict.reward} with status {verdict.status}"
    if verdict.reward == 1.0 and verdict.status != "ok":
        return f"paid with status {verdict.status}"
    if verdict.status in ("crashed", "timeout"):
        return verdict.status
    return None


def swappable(left: str, right: str) -> bool:
    """Whether the two must be equal in both orders when both can be read.

    A chain of equations answers with its last link, but is a statement as a gold; what closes its
    own box early is cut as an answer only.
    """
    whole = all(last_boxed(rf"\boxed{{{text}}}") == text.strip() for text in (left, right))
    return whole and "=" not in left + right
