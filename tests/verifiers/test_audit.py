"""Side effects of jobs: refused, and told, whatever a library does with the exception."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cropi.verifiers.isolation import Workers

EFFECTS = {
    "write_file": "open", "append_file": "open", "remove": "os.remove", "rename": "os.rename",
    "make_folder": "os.mkdir", "change_mode": "os.chmod", "shell": "os.system",
    "program": "subprocess.Popen", "spawn": "os.posix_spawn", "execute": "os.exec",
    "fork": "os.fork", "kill": "os.kill", "connect": "socket", "foreign_function": "ctypes",
}


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    workers = Workers(
        "hostile_jobs:run", slots=1, cpu_seconds=5, wall_seconds=60, megabytes=1024
    )
    yield workers
    workers.close()


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("swallowed", [False, True])
def test_side_effects_are_refused(
    workers: Workers, tmp_path: Path, name: str, swallowed: bool
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("as it was")
    mode = kept.stat().st_mode
    job = [name, str(kept)]
    outcomes = workers.run([["swallow", job] if swallowed else job, ["double", 4]])
    assert outcomes[0].status == "crashed"
    assert f"tried to use {EFFECTS[name]}" in outcomes[0].message
    assert outcomes[1].value == 8
    assert (list(tmp_path.iterdir()), kept.read_text(), kept.stat().st_mode) == (
        [kept], "as it was", mode
    )


@pytest.mark.parametrize("text", [
    "1+1", "__import__('os')", "Integer (4 )+(1)", "from sympy import *\nimport os",
    "Integer (4 )\n.__class__",
])
def test_text_is_not_run(workers: Workers, text: str) -> None:
    outcomes = workers.run([["evaluate", text], ["swallow", ["evaluate", text]]])
    assert ["tried to use compile" in outcome.message for outcome in outcomes] == [True, True]


def test_text_is_run_for_a_target_that_asks_for_it() -> None:
    workers = Workers("compiling_jobs:run", slots=1, cpu_seconds=5, wall_seconds=60, megabytes=512)
    outcomes = workers.run(["1 + 1", "__import__('os').mkdir('/nowhere')"])
    assert (outcomes[0].value, outcomes[1].status) == (2, "crashed")
    assert "os.mkdir" in outcomes[1].message
    workers.close()


def test_reading_and_importing_go_on_working(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "late_module.py").write_text(
        "from collections import namedtuple\nfrom dataclasses import make_dataclass\n"
        "make_dataclass('D', ['x'])\nVALUE = namedtuple('P', 'x y')(1, 2).y + eval('40')\n"
    )
    outcomes = workers.run([
        ["read_file", __file__], ["import_late", str(tmp_path), "late_module"],
    ])
    assert [o.status for o in outcomes] == ["ok", "ok"]
    assert outcomes[1].value == 42
    assert not (tmp_path / "__pycache__").exists()


def test_a_job_may_open_few_files_and_write_none(workers: Workers) -> None:
    open_files, file_size, core, processes = workers.run([["limits"]])[0].value
    assert 0 < open_files <= 64
    assert (file_size, core, processes) == (0, 0, 0)
