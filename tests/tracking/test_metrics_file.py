from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cropi.runtime.errors import CropiError, DataError
from cropi.tracking.metrics_file import MetricsFile, Record, read_metrics


def test_a_record_is_one_json_line_and_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics.jsonl"
    with MetricsFile(path) as file:
        file.append(0, 0, "evaluation", {"eval/targeted": 0.25})
        file.append(1, 0, "train", {"loss": np.float32(0.5), "count": 3})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 0, "phase": 0, "kind": "evaluation", "metrics": {"eval/targeted": 0.25}},
        {"step": 1, "phase": 0, "kind": "train", "metrics": {"loss": 0.5, "count": 3.0}},
    ]
    assert read_metrics(path)[1] == Record(1, 0, "train", {"loss": 0.5, "count": 3.0})


def test_each_line_is_there_at_once(tmp_path: Path) -> None:
    with MetricsFile(tmp_path / "m.jsonl") as file:
        file.append(1, 0, "train", {"loss": 1.0})
        assert len(read_metrics(tmp_path / "m.jsonl")) == 1


def test_a_late_record_of_an_earlier_step_is_kept(tmp_path: Path) -> None:  # pitfall 32
    with MetricsFile(tmp_path / "m.jsonl") as file:
        file.append(5, 0, "train", {"loss": 1.0})
        file.append(4, 0, "evaluation", {"eval/all": 0.5})
    assert [(r.step, r.kind) for r in read_metrics(tmp_path / "m.jsonl")] == [
        (5, "train"), (4, "evaluation")
    ]


def test_values_that_are_not_finite_are_left_out_with_one_warning_a_metric(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), MetricsFile(tmp_path / "m.jsonl") as file:
        for step in range(3):
            file.append(step, 0, "train", {"loss": 1.0, "kl": float("nan"), "r": float("-inf")})
    assert [dict(r.metrics) for r in read_metrics(tmp_path / "m.jsonl")] == [{"loss": 1.0}] * 3
    assert [m.split()[0] for m in caplog.messages] == ["kl", "r"]


def test_truncating_forgets_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with MetricsFile(path) as file:
        file.append(1, 0, "train", {"loss": 1.0})
        offset = file.offset()
        assert offset == path.stat().st_size
        file.append(2, 0, "train", {"loss": 2.0})
    with MetricsFile(path) as file:
        file.truncate(offset)
        file.append(2, 0, "train", {"loss": 3.0})
    assert [(r.step, r.metrics["loss"]) for r in read_metrics(path)] == [(1, 1.0), (2, 3.0)]


@pytest.mark.parametrize("shift", [-1, 1])
def test_an_offset_that_ends_no_line_is_refused(tmp_path: Path, shift: int) -> None:
    with MetricsFile(tmp_path / "m.jsonl") as file:
        file.append(1, 0, "train", {"loss": 1.0})
        with pytest.raises(CropiError, match="does not fit its checkpoint"):
            file.truncate(file.offset() + shift)
    assert len(read_metrics(tmp_path / "m.jsonl")) == 1


def test_a_killed_writer_leaves_whole_lines_and_the_next_one_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    script = (
        "import os, sys; from pathlib import Path\n"
        "from cropi.tracking.metrics_file import MetricsFile\n"
        "file = MetricsFile(Path(sys.argv[1]))\n"
        "for step in range(3): file.append(step, 0, 'train', {'loss': 1.0})\n"
        "file._handle.write(b'{\"step\": 3, \"phase'); file._handle.flush(); os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 9
    assert [r.step for r in read_metrics(path)] == [0, 1, 2]
    with MetricsFile(path) as file:
        file.append(3, 0, "train", {"loss": 1.0})
    assert [r.step for r in read_metrics(path)] == [0, 1, 2, 3]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1, "phase": 0, "kind": "train", "metrics": {}}\nnonsense\n\n')
    with pytest.raises(DataError, match=r"m\.jsonl, line 2"):
        read_metrics(path)


def test_a_file_that_is_not_there_holds_no_records(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "m.jsonl") == []
