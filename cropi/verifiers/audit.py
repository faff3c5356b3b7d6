"""Refuse side effects inside a worker process, by Python's audit events.

A verifier computes; it has no business with files, sockets or other processes. The hook lets the
events through that computing and importing raise and refuses every other one, so that an event
nobody thought of is refused too. A hook cannot be taken away again.
"""

from __future__ import annotations

import os
import re
import sys
from types import FrameType
from typing import Any

_HARMLESS = frozenset({
    "array.__new__", "builtins.id", "import", "marshal.load", "marshal.loads",
    "object.__delattr__", "object.__getattr__", "object.__setattr__", "os.listdir", "os.scandir",
    "sys._getframe", "sys.excepthook", "sys.unraisablehook", "time.sleep",
})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# All that sympy itself compiles to read a number.
_NUMBER = re.compile(r"from sympy import \*|Integer \(\d+ ?\)|Float \('[\d.eE+-]+' ?\)")
# Modules that compile text of their own making: counts, checked names, annotations in source.
_CODE_WRITERS = frozenset({"collections", "dataclasses", "sympy.polys.monomials", "typing"})


class Audit:
    """An audit hook, at work while ``active``. ``refused`` tells of the first event it refused.

    Text is never run as code unless ``may_compile`` or it is one number in sympy's spelling.
    Modules may still be imported, and text be parsed without running it (``ast.literal_eval``).
    """

    def __init__(self, *, may_compile: bool) -> None:
        self.active = False
        self.refused = ""
        self._may_compile = may_compile

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active or event in _HARMLESS:
            return
        if not self._is_allowed(event, arguments, sys._getframe(1)):
            # Remembered, since a library may swallow the exception.
            self.refused = self.refused or f"{event} {arguments!r:.100}"
            raise PermissionError(f"a job may not use {event}")

    def _is_allowed(self, event: str, arguments: tuple[Any, ...], caller: FrameType) -> bool:
        if event == "open":
            flags = arguments[2]
            return isinstance(flags, int) and not flags & _WRITING
        if event == "compile":
            source, name = arguments
            return (
                self._may_compile or name != "<string>"
                or _is_number(source) or _is_own_code(caller)
            )
        if event == "exec":
            return self._may_compile or _was_checked(arguments[0])
        return False


def _is_number(source: Any) -> bool:
    text = source.decode(errors="replace") if isinstance(source, bytes) else source
    return isinstance(text, str) and _NUMBER.fullmatch(text) is not None


def _is_own_code(frame: FrameType | None) -> bool:
    """Whether the text is a library's own: written by one of those, or run while it is loaded."""
    if frame is not None and frame.f_globals.get("__name__") in _CODE_WRITERS:
        return True
    while frame is not None:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            return True
        frame = frame.f_back
    return False


def _was_checked(code: Any) -> bool:
    """Whether code is an imported module's, or text that ``compile`` was allowed to read."""
    name = str(code.co_filename)
    return not name.startswith("<") or name == "<string>" or name.startswith("<frozen ")
