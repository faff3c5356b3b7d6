"""Log lines on standard error."""

from __future__ import annotations

import logging
import sys
from typing import TextIO


class ConsoleHandler(logging.Handler):
    """Writes to whatever ``sys.stderr`` is at that moment.

    A live progress display replaces it, to print lines above itself; a handler that kept the
    stream of its first day would write through the bar.
    """

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        stream: TextIO = sys.stderr
        stream.write(f"{prefix}{self.format(record)}\n")
        stream.flush()
