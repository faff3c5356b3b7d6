"""CROPI killed while it scores: the same command ends with the same bits and the same charges."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_resume import COMMON, KILLED, cache, facts, run, the_folder

__all__ = ["cache"]  # the fixture

BATCH = "engine.batch_tokens=300"  # several passes a set in the tiny pool
# Everything of the selector that keeps something on disk or looks back at earlier phases.
BETTER = [
    *COMMON, "phases=3", "steps_per_phase=2", "selector=cropi", "selector.alpha=0.3", BATCH,
    "selector.estimator.ratio=sequence", "selector.estimator.ratio_cap=1",
    "selector.precondition=adam", "selector.inverse=1", "selector.average=0.5",
    "selector.mixed_group=4", "selector.reuse=merged", "selector.refresh_share=0.3",
    "selector.fresh_validation=true",
]  # fmt: skip
METHODS: dict[str, list[str]] = {
    "paper": [*COMMON, "selector=cropi", "selector.alpha=0.3", BATCH],
    "exact": [*COMMON, "selector=cropi", "selector.alpha=0.3", "projector=none", BATCH],
    "better": BETTER,
}
pytestmark = pytest.mark.slow


def die_in_scoring(number: int) -> Callable[[], None]:
    """SIGKILL this process in the middle of its ``number``-th write of gradients."""

    def arm() -> None:
        from cropi.influence.row_file import RowFile

        original, seen = RowFile.write, 0

        def write(self: RowFile, *arguments: Any, **kwargs: Any) -> None:
            nonlocal seen
            seen += 1
            original(self, *arguments, **kwargs)
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

        RowFile.write = write  # type: ignore[method-assign]

    return arm


@pytest.mark.parametrize("method", METHODS)
def test_killed_while_scoring(tmp_path: Path, cache: Path, method: str) -> None:
    command = METHODS[method]
    assert run(tmp_path / "whole", cache, command=command) == 0
    whole = facts(the_folder(tmp_path / "whole"))
    assert any("selection" in line["kind"] for line in whole["metrics"])
    runs = tmp_path / "killed"
    # Row, columns and mark are one write each: every third number is a whole row.
    deaths = 0
    for number in (1, 2, 5, 11, 20, 20, 20, 20):
        code = run(runs, cache, command=command, before=die_in_scoring(number))
        deaths += code == KILLED
        if code == 0:
            break
        assert code == KILLED
    assert deaths >= 3
    assert run(runs, cache, command=command) == 0
    assert facts(the_folder(runs)) == whole
    assert not list(runs.rglob("gradients")), "gradients are kept only when asked to"


def test_two_processes_give_the_same_run(tmp_path: Path, cache: Path) -> None:
    command = METHODS["paper"]
    assert run(tmp_path / "one", cache, command=command) == 0
    assert run(tmp_path / "two", cache, "workers=2", command=command) == 0
    assert facts(the_folder(tmp_path / "one")) == facts(the_folder(tmp_path / "two"))
