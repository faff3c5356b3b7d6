"""A target that checks its text itself and asks to be allowed to run it."""

from __future__ import annotations

from typing import Any

MAY_COMPILE = True


def run(text: str) -> Any:
    return eval(text)
