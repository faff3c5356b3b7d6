from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from run_folders import write_run

from cropi.reports.arms import group
from cropi.reports.curves import draw
from cropi.reports.runs import find_runs
from cropi.runtime.errors import CropiError


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures drawn by the test."""
    from matplotlib.figure import Figure

    drawn: list[Any] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k))
    )
    return drawn


def test_two_panels_show_the_mean_and_its_band(tmp_path: Path, figures: list[Any]) -> None:
    write_run(tmp_path / "a", [0.2, 0.4], seed=0)
    write_run(tmp_path / "b", [0.2, 0.6], seed=1)
    write_run(tmp_path / "c", [0.2, 0.3], method="random", finished=False)
    draw(group(find_runs([tmp_path])), tmp_path / "c.svg")
    by_steps, by_seconds = figures[0].axes
    mean, open_ = by_steps.lines
    assert mean.get_xdata().tolist() == [0, 10]
    assert mean.get_ydata().tolist() == pytest.approx([20, 50])
    assert by_seconds.lines[0].get_xdata().tolist() == [100, 150]
    (band,) = by_steps.collections
    at_10 = [y for x, y in band.get_paths()[0].vertices if x == 10]
    assert (min(at_10), max(at_10)) == pytest.approx((50 - 14.1421356, 50 + 14.1421356))
    assert (mean.get_linestyle(), open_.get_linestyle()) == ("-", "--")
    labels = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert labels == ["cropi (n=2, ± sd)", "random, seed 0 (unfinished)"]


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_suffix_is_the_format(tmp_path: Path, suffix: str, start: bytes) -> None:
    write_run(tmp_path / "a", [0.2, 0.4])
    draw(group(find_runs([tmp_path])), tmp_path / f"c.{suffix}")
    assert (tmp_path / f"c.{suffix}").read_bytes().startswith(start)


def test_nothing_to_draw_and_unknown_formats_are_errors(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", [0.2, 0.4])
    with pytest.raises(CropiError, match=r"must end in \.png"):
        draw(group(find_runs([tmp_path])), tmp_path / "curves.docx")
    write_run(tmp_path / "none" / "a", [], finished=False)
    with pytest.raises(CropiError, match="none of these runs"):
        draw(group(find_runs([tmp_path / "none"])), tmp_path / "curves.png")
