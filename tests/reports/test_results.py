from __future__ import annotations

import re
from pathlib import Path

import pytest
from run_folders import write_run

from cropi.reports.results import compact, main
from cropi.runtime.errors import CropiError


def printed(capsys: pytest.CaptureFixture[str], *paths: Path) -> str:
    main(paths)
    return capsys.readouterr().out


def rows(text: str) -> list[str]:
    """Blocks of the table between blank lines, spaces made single."""
    return [re.sub(r" +", " ", block) for block in re.split(r"\n\s*\n", text)]


def test_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", [0.2, 0.9, 0.8], untargeted=[0.1, 0.3, 0.25])
    (row,) = [block for block in rows(printed(capsys, tmp_path)) if "cropi" in block]
    for cell in (
        "start 20.0", "end 80.0", "best 90.0", "start 10.0", "end 25.0", "best 30.0",
        "seed 0", "20",
        # level 76: on the line from 20 at step 0 to 90 at step 10
        "step 8", "to 76.0",
        "rollouts 100", "selection 30.0", "training 40.0", "total 170", "evaluation 15.0",
        "generated 70.0k", "backward 10.0k",
    ):
        assert re.search(rf"(^|\s){re.escape(cell)}(\s|$)", row), cell
    assert "±" not in row
    assert "forward" not in row  # nothing of that kind was spent


def test_seeds_are_one_row_with_n_and_sample_deviation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, end in enumerate((0.5, 0.6, 0.7)):
        write_run(tmp_path / str(seed), [0.2, end], seed=seed, selection_seconds=30.0 + seed)
    text = printed(capsys, tmp_path)
    assert "n=3, seeds 0, 1, 2" in text
    (row,) = [block for block in rows(text) if "cropi" in block]
    assert "end 60.0 ± 10.0" in row
    assert "start 20.0 ± 0.0" in row
    assert "selection 31.0" in row


def test_not_reached_is_a_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", [0.2, 0.8])
    write_run(tmp_path / "b", [0.2, 0.4], method="random")
    random = next(block for block in rows(printed(capsys, tmp_path)) if "random" in block)
    assert "not reached" in random
    assert "to 76.0" in random


def test_an_unfinished_run_is_marked_and_sets_no_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", [0.2, 0.4])
    write_run(tmp_path / "b", [0.2, 0.9], seed=1, finished=False)
    blocks = rows(printed(capsys, tmp_path))
    (marked,) = [block for block in blocks if "unfinished" in block]
    assert "seed 1" in marked
    assert "to 38.0" in marked
    assert "n=" not in "".join(blocks[:2])


def test_runs_without_evaluations_have_dashes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", [], finished=False)
    assert re.search(r"cropi +0 +- +- +-", printed(capsys, tmp_path))


def test_without_a_terminal_there_are_no_escapes_and_no_broken_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        write_run(tmp_path / str(seed), [0.2, 0.5 + seed / 100], seed=seed,
                  untargeted=[0.1, 0.2 + seed / 10])
    text = printed(capsys, tmp_path)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 120
    assert "…" not in text


def test_markup_in_a_config_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(2):
        write_run(tmp_path / str(i), [0.1], selector={"_target_": "x", "m": f"[red]{i}"})
    assert "[red]0" in printed(capsys, tmp_path)


def test_a_plot_is_drawn_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", [0.2, 0.8])
    main([tmp_path], plot=tmp_path / "figures" / "curves.png")
    assert (tmp_path / "figures" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "curves.png" in capsys.readouterr().out


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(CropiError, match="no runs"):
        main([tmp_path])


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "0"), (0.1234, "0.12"), (7.25, "7.25"), (31.0, "31.0"), (831.4, "831"),
     (9999, "9999"), (12_400, "12.4k"), (3_100_000, "3.10M"), (250e6, "250M"), (1.5e9, "1.50G")],
)
def test_compact_numbers(amount: float, shown: str) -> None:
    assert compact(amount) == shown
