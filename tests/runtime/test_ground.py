"""Seeds, files and locks."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cropi.runtime.errors import RunBusyError, did_you_mean
from cropi.runtime.files import read_json, replace_folder, write_atomically, write_json
from cropi.runtime.locks import exclusive
from cropi.runtime.seeds import derive, stream


def test_streams_are_named_stable_and_apart() -> None:
    # Pinned: a changed stream silently changes every published result.
    assert derive(0, "order", 0) == 3955691223199900983
    assert derive(0, "a", "b") != derive(0, "a/b", "c") != derive(0, "b", "a")
    assert derive(0, "a") != derive(1, "a")
    assert stream(0, "a").random() == stream(0, "a").random() != stream(0, "b").random()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    write_json(target, {"a": 1})

    def fail(part: Path) -> None:
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, fail)
    assert read_json(target) == {"a": 1}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(target, {"a": float("nan")})
    assert read_json(target) == {"a": 1}


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert [p.name for p in (tmp_path / "old").iterdir()] == ["new"]


def test_the_second_start_is_told_who_works(tmp_path: Path) -> None:
    said = pytest.raises(RunBusyError, match="is being worked on by process")
    with exclusive(tmp_path), said, exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from cropi.runtime.locks import exclusive
        with exclusive(Path({str(tmp_path)!r})):
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    with exclusive(tmp_path):
        pass


def test_suggestions() -> None:
    assert did_you_mean("cropy", ["cropi", "random"]) == ' (did you mean "cropi"?)'
    assert did_you_mean("zzz", ["cropi"]) == ""
