from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


def test_two_runs_and_a_resume_end_in_one_sqlite_file(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    script = textwrap.dedent(f"""
        from pathlib import Path
        from cropi.contracts import RunIdentity
        from cropi.tracking.trackio import Trackio
        for run, step in [("one", 1), ("two", 1), ("one", 2)]:
            tracker = Trackio(project="test")
            tracker.start(RunIdentity(run, run, Path({str(tmp_path)!r}), {{"seed": 3}}))
            tracker.log(step, {{"eval/targeted": step / 4}})
            tracker.finish({{}})
    """)
    # A process of its own: Trackio reads TRACKIO_DIR once, when it is imported.
    env = {**os.environ, "TRACKIO_DIR": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True,
        stdin=subprocess.DEVNULL, timeout=120,
    )
    assert done.stdout == ""
    (file,) = tmp_path.rglob("*.db")
    with sqlite3.connect(file) as database:
        rows = database.execute("select run_name, run_id, step, metrics from metrics").fetchall()
    assert sorted((run, step, json.loads(m)["eval/targeted"]) for run, _, step, m in rows) == [
        ("one", 1, 0.25), ("one", 2, 0.5), ("two", 1, 0.25)
    ]
    assert len({run_id for _, run_id, _, _ in rows}) == 2  # the resumed run is still one run
