"""Worker processes: reference/verifier.md section 1 (2, 3) and section 2 numbers 2 to 5."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

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


@pytest.fixture
def one() -> Iterator[Workers]:
    workers = make(slots=1)
    yield workers
    workers.close()


def test_values_come_back_in_order(workers: Workers) -> None:
    assert [o.value for o in workers.run([["double", i] for i in range(9)])] == list(
        range(0, 18, 2)
    )
    assert workers.run([]) == []


def test_many_quick_jobs_never_time_out(workers: Workers) -> None:
    # Number 5: a limit that counted the wait in the queue would fail most of these.
    outcomes = workers.run([["sleep", 0.01]] * 200)
    assert {o.status for o in outcomes} == {"ok"}


def test_two_stuck_jobs_do_not_spoil_the_three_behind_them(workers: Workers) -> None:
    outcomes = workers.run([["spin"], ["spin"], ["double", 1], ["double", 2], ["double", 3]])
    assert [o.status for o in outcomes] == ["timeout", "timeout", "ok", "ok", "ok"]
    assert [o.value for o in outcomes[2:]] == [2, 4, 6]


def test_a_replacement_comes_ready_from_the_same_template(one: Workers) -> None:
    outcomes = one.run([["family"], ["spin"], ["family"]])
    (prepared, template, first), (prepared_again, same, second) = (
        outcomes[0].value, outcomes[2].value
    )
    assert prepared == prepared_again == [template]  # prepared once, and not by a worker
    assert template == same != os.getpid()
    assert first != second
    assert ended_and_reaped(first)


@pytest.mark.parametrize("job", ["huge_integer", "one_long_instruction", "hide_interrupt"])
def test_work_that_no_interrupt_stops_is_stopped(workers: Workers, job: str) -> None:
    outcomes = workers.run([[job], ["double", 4]])
    assert outcomes[0].seconds < 40  # by the processor's clock, not the 60 s on the wall
    assert [o.status for o in outcomes] == ["timeout", "ok"]


def test_processor_time_is_counted_finely() -> None:
    workers = make(slots=1, cpu_seconds=0.1)
    outcomes = workers.run([["spin"]] * 4)
    assert min(o.seconds for o in outcomes) < 1.5  # the kernel's other limit is 2 s
    workers.close()


def test_a_clock_that_a_job_disarms_is_not_the_only_one() -> None:
    workers = make(slots=1, wall_seconds=290.0)
    outcome = workers.run([["disarm"]])[0]
    assert outcome.status == "timeout"
    assert outcome.seconds < 200
    workers.close()


def test_waiting_costs_no_processor_time_but_ends() -> None:
    workers = make(wall_seconds=0.5)
    outcomes = workers.run([["sleep", 60.0], ["trickle"]])
    assert [o.status for o in outcomes] == ["timeout", "timeout"]
    assert max(o.seconds for o in outcomes) < 20
    workers.close()


def test_memory_is_bounded(workers: Workers) -> None:
    outcomes = workers.run([["fill_memory", 3072], ["double", 5]])
    assert [o.status for o in outcomes] == ["memory", "ok"]


def test_memory_that_earlier_jobs_hold_is_not_a_job_s_own() -> None:
    workers = make(slots=1, cpu_seconds=20, megabytes=512)
    outcomes = workers.run([["hoard", 260], ["fill_memory", 260], ["process_id"]])
    workers.close()
    assert [o.status for o in outcomes] == ["ok", "ok", "ok"]
    assert outcomes[0].value != outcomes[2].value


def test_exceptions_and_deaths_are_reported_and_survived(workers: Workers) -> None:
    jobs = [["fail"], ["die"], ["double", 6], ["chatter"], ["leave"], ["no_json"],
            ["not_a_number"], ["fail_with_half_a_character"]]
    outcomes = workers.run(jobs)
    assert [o.status for o in outcomes] == ["crashed", "crashed", "ok", "ok"] + ["crashed"] * 4
    assert outcomes[0].message == "ValueError: bad input"
    assert outcomes[1].message == "its process died"
    assert outcomes[3].value == "said"
    raised = [o.message.split(":")[0] for o in outcomes[4:7]]
    assert raised == ["SystemExit", "TypeError", "ValueError"]
    assert outcomes[7].message == "ValueError: ?"


@pytest.mark.parametrize("text", [
    "nonsense\n", "[" * 100_000 + "\n", "[]\n", '{"value": 1}\n', '{"status": "perfect"}\n',
    '{"status": "ok", "value": NaN}\n', '{"status": "ok", "value": ' + "9" * 9999 + "}\n",
    '{"status": "ok"}\n{}\n', "\ud800\n",
])
def test_replies_that_no_worker_of_ours_makes(one: Workers, text: str) -> None:
    outcomes = one.run([["forge", text], ["double", 7]])
    assert outcomes[0].status == "crashed"
    assert outcomes[1].value == 14


def test_a_reply_too_long_is_cut_off() -> None:
    workers = make(slots=1, cpu_seconds=50)
    assert workers.run([["write", "x" * 1000, 10**9]])[0].message == "its reply is too long"
    workers.close()


def test_a_worker_with_something_left_to_say_gets_no_job(one: Workers) -> None:
    assert one.run([["forge", '{"status": "ok", "value": 5}\n']])[0].value == 5
    time.sleep(0.5)  # its own reply follows
    assert one.run([["double", 8]])[0].value == 16


def test_a_worker_killed_from_outside_is_replaced(workers: Workers) -> None:
    pid = workers.run([["process_id"]])[0].value
    os.kill(pid, signal.SIGKILL)
    outcome = workers.run([["process_id"]])[0]
    assert outcome.status == "ok"
    assert outcome.value != pid


@pytest.mark.parametrize("victim", ["worker", "template", "both"])
def test_an_innocent_job_killed_from_outside_is_done_again(one: Workers, victim: str) -> None:
    _, template, worker = one.run([["family"]])[0].value

    def kill() -> None:
        for name, pid in (("template", template), ("worker", worker)):
            if victim in (name, "both"):
                os.kill(pid, signal.SIGKILL)

    killer = threading.Timer(0.2, kill)
    killer.start()
    assert [o.status for o in one.run([["sleep", 0.6], ["spin"]])] == ["ok", "timeout"]
    assert one.run([["double", 2]])[0].value == 4
    assert ended_and_reaped(worker, 20.0)
    assert ended_and_reaped(template) == (victim != "worker")


def test_workers_of_a_dead_template_end_with_it(one: Workers) -> None:
    _, template, worker = one.run([["family"]])[0].value
    os.kill(template, signal.SIGKILL)
    one.close()
    assert ended_and_reaped(template)
    assert ended_and_reaped(worker, 20.0)


def test_a_template_found_dead_is_started_again(workers: Workers) -> None:
    _, template, _ = workers.run([["family"]])[0].value  # on the first slot; the second is empty
    os.kill(template, signal.SIGKILL)
    outcomes = workers.run([["sleep", 0.3], ["family"], ["double", 3]])
    assert [o.status for o in outcomes] == ["ok", "ok", "ok"]
    assert outcomes[1].value[1] != template


def test_nothing_starts_before_the_first_job() -> None:
    workers = make("no_such_module:run")
    workers.close()
    with pytest.raises(CropiError, match="no_such_module"):
        workers.run([[]])


def test_children_see_no_credentials(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert workers.run([["environment", "WANDB_API_KEY"]])[0].value is None


def ended_and_reaped(pid: Any, seconds: float = 0.0) -> bool:
    """Whether a process is gone (a zombie is not), after so many seconds at most."""
    until = time.monotonic() + seconds
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.02)
