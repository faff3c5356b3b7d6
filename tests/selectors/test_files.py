"""Selections on disk: readable, exact, and summed up in numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cropi.runtime.errors import DataError
from cropi.selectors.files import (
    read_scores,
    read_selection,
    selection_metrics,
    write_selection,
)
from cropi.selectors.show import show
from cropi.types import Prompt, Scores, Selection

POOL = {p.id: p for p in (
    Prompt.create(f"[bold]question {i}", [f"{i}"], source="t", family=f"f{i}") for i in range(4)
)}
IDS = tuple(POOL)
SCORES = Scores(IDS, np.array([0.1, 0.4, 1 / 3, 0.0]), np.array([True, True, True, False]),
                {"pass_rate": np.array([0.9, 0.5, 0.25, 0.0]), "rollouts": np.arange(4)})
SELECTION = Selection((IDS[1], IDS[2]), (1.0, 1.0), ("best", "second"), budget=2)


def test_round_trip_is_exact(tmp_path: Path) -> None:
    write_selection(tmp_path, SELECTION, SCORES, POOL)
    assert read_selection(tmp_path) == SELECTION
    scores = read_scores(tmp_path)
    assert scores.ids == IDS
    assert scores.values.tobytes() == SCORES.values.tobytes()
    assert scores.components["rollouts"].tolist() == [0, 1, 2, 3]


def test_a_line_tells_a_reader_everything(tmp_path: Path) -> None:
    write_selection(tmp_path, SELECTION, SCORES, POOL)
    first = json.loads((tmp_path / "selection.jsonl").read_text().splitlines()[0])
    assert first == {
        "rank": 1, "id": IDS[1], "score": 0.4, "weight": 1.0, "reason": "best",
        "components": {"pass_rate": 0.5, "rollouts": 1}, "source": "t", "family": "f1",
        "question": "[bold]question 1", "golds": ["1"], "budget": 2,
    }


def test_metrics_by_hand() -> None:
    earlier = [Selection((IDS[0], IDS[1]), (1.0, 1.0), ("", ""), 2)]
    metrics = selection_metrics(SCORES, SELECTION, earlier)
    assert metrics["selection/kept"] == 2
    assert metrics["selection/undefined"] == 1
    assert metrics["selection/overlap_last"] == 0.5
    assert metrics["selection/seen_share"] == 0.75
    assert metrics["selection/score_median"] == pytest.approx(1 / 3)


def test_show_prints_data_as_data_and_names_missing_phases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    write_selection(tmp_path / "phases" / "000", SELECTION, SCORES, POOL)
    show(tmp_path, 0, 1)
    out = capsys.readouterr().out
    assert "[bold]question 1" in out
    assert IDS[2] not in out
    with pytest.raises(DataError, match="no phase 2 yet; it has phases 0 to 0"):
        show(tmp_path, 2, 1)
