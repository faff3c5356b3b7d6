"""Worker processes: reference/verifier.md section 1 (2, 3) and section 2 numbers 2 to 5."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cropi.runtime.errors import CropiError
from cropi.verifiers.isolation import Workers


def make(function: str = "hostile_jobs:run", **limits: float) -> Workers:
    options = {"slots": 2, "cpu_seconds": 0.5, "wall_seconds": 60.0, "megabytes": 1024, **limits}
    return Workers(function, **options)  # type: ignore[arg-type]


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = make()
    yield workers
    workers.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone_within(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not is_alive(pid)


def test_values_come_back_in_order(workers: Workers) -> None:
    assert [o.value for o in workers.run([["double", i] for i in range(9)])] == list(
        range(0, 18, 2)
    )


def test_many_quick_jobs_never_time_out(workers: Workers) -> None:
    # Number 5: a limit that counted the wait in the queue would fail most of these.
    outcomes = workers.run([["sleep", 0.01]] * 200)
    assert {o.status for o in outcomes} == {"ok"}


def test_two_stuck_jobs_do_not_spoil_the_three_behind_them(workers: Workers) -> None:
    outcomes = workers.run([["spin"], ["spin"], ["double", 1], ["double", 2], ["double", 3]])
    assert [o.status for o in outcomes] == ["timeout", "timeout", "ok", "ok", "ok"]
    assert [o.value for o in outcomes[2:]] == [2, 4, 6]


@pytest.mark.parametrize("job", ["huge_integer", "one_long_instruction"])
def test_work_inside_one_instruction_is_stopped(workers: Workers, job: str) -> None:
    outcomes = workers.run([[job], ["double", 4]])
    assert outcomes[0].seconds < 40  # by the processor's clock, not the 60 s on the wall
    assert [o.status for o in outcomes] == ["timeout", "ok"]


def test_a_timeout_that_a_library_swallowed_is_still_a_timeout(workers: Workers) -> None:
    assert workers.run([["hide_interrupt"]])[0].status == "timeout"


def test_waiting_costs_no_processor_time_but_ends() -> None:
    workers = make(wall_seconds=0.5)
    outcomes = workers.run([["sleep", 60.0]])
    assert outcomes[0].status == "timeout"
    assert outcomes[0].seconds < 20
    workers.close()


def test_memory_is_bounded(workers: Workers) -> None:
    outcomes = workers.run([["fill_memory"], ["double", 5]])
    assert [o.status for o in outcomes] == ["memory", "ok"]


def test_exceptions_and_deaths_are_reported_and_survived(workers: Workers) -> None:
    outcomes = workers.run([["fail"], ["die"], ["double", 6], ["chatter"]])
    assert [o.status for o in outcomes] == ["crashed", "crashed", "ok", "ok"]
    assert outcomes[0].message == "ValueError: bad input"
    assert outcomes[3].value == "said"


def test_a_worker_killed_from_outside_is_replaced(workers: Workers) -> None:
    pid = workers.run([["process_id"]])[0].value
    os.kill(pid, signal.SIGKILL)
    outcome = workers.run([["process_id"]])[0]
    assert outcome.status == "ok"
    assert outcome.value != pid


def test_a_worker_killed_in_the_middle_of_an_innocent_job_does_it_again(workers: Workers) -> None:
    pid = workers.run([["process_id"]])[0].value
    killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
    killer.start()
    assert workers.run([["sleep", 0.6]])[0].status == "ok"


def test_any_thread_may_ask(workers: Workers) -> None:
    # Number 2: alarms work on the main thread only; these limits are the child's own.
    found: dict[int, list[int]] = {}

    def ask(base: int) -> None:
        found[base] = [o.value for o in workers.run([["double", base + i] for i in range(5)])]

    threads = [threading.Thread(target=ask, args=(10 * i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {10 * i: [2 * (10 * i + j) for j in range(5)] for i in range(6)}


def test_closing_leaves_no_process_and_may_be_repeated(workers: Workers) -> None:
    pids = {o.value for o in workers.run([["process_id"]] * 8)}
    workers.close()
    workers.close()
    assert not any(map(is_alive, pids))
    assert workers.run([["double", 7]])[0].value == 14  # and can start again


def test_nothing_starts_before_the_first_job() -> None:
    workers = make("no_such_module:run")
    workers.close()
    with pytest.raises(CropiError, match="no_such_module"):
        workers.run([[]])


def test_children_see_no_credentials(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert workers.run([["environment", "WANDB_API_KEY"]])[0].value is None


LEAVE = """
import sys
from cropi.verifiers.isolation import Workers
workers = Workers("hostile_jobs:run", slots=1, cpu_seconds=1, wall_seconds=9, megabytes=1024)
print(workers.run([["process_id"]])[0].value, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [False, True])
def test_a_parent_that_ends_leaves_no_worker(killed: bool) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", LEAVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_alive(pid)
    if killed:
        parent.kill()
    parent.communicate("")
    assert gone_within(pid, 20.0)
    assert killed or parent.returncode == 0


def test_forgotten_workers_are_stopped_and_reaped() -> None:
    workers = make(slots=1)
    pid = workers.run([["process_id"]])[0].value
    del workers
    gc.collect()
    assert not is_alive(pid)  # a zombie would still answer
