from __future__ import annotations

from pathlib import Path

import pytest

from cropi.contracts import RunIdentity
from cropi.tracking.tensorboard import TensorBoard


def log(folder: Path, values: dict[int, float]) -> None:
    tracker = TensorBoard()
    tracker.start(RunIdentity("id", "name", folder, {"selector.alpha": 0.25}))
    for step, value in values.items():
        tracker.log(step, {"eval/targeted": value})
    tracker.finish({})


def test_scalars_are_read_back_and_a_resume_replaces_what_it_redoes(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log(tmp_path, {0: 0.0, 1: 0.125, 2: 0.25})
    log(tmp_path, {2: 0.5, 3: 0.75})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("eval/targeted")] == [
        (0, 0.0), (1, 0.125), (2, 0.5), (3, 0.75)
    ]
    text = events.Tensors("config/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert '"selector.alpha": 0.25' in text


def test_a_run_that_logged_nothing_closes(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    log(tmp_path, {})
    assert not (tmp_path / "tensorboard").exists()
