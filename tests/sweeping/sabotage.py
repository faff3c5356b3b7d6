"""A selector that breaks for three of eight jobs: one raises, one exits, one is killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from baselines.full import Full
from cropi.contracts import SelectionContext
from cropi.runtime.parts import part
from cropi.types import Prompt, Scores

CAUSES = {("a", "x", 0): "raise", ("a", "y", 1): "exit", ("b", "x", 1): "kill"}


@part
class Sabotage(Full):
    """The full data, unless the job is one that breaks and the file ``cure`` does not exist."""

    row: str = ""
    column: str = ""
    cure: str = ""

    def score(self, pool: Sequence[Prompt], context: SelectionContext) -> Scores:
        cause = None
        if not Path(self.cure).exists():
            cause = CAUSES.get((self.row, self.column, context.seed))
        if cause == "raise":
            raise ValueError("the selector broke")
        if cause == "exit":
            sys.exit(3)
        if cause == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(pool, context)
