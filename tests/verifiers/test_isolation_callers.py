"""Worker processes asked from threads, coroutines and other processes, and how they end."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile_jobs
import pytest
from test_isolation import ended_and_reaped, make

from cropi.verifiers.isolation import Workers
from cropi.verifiers.slots import Slots


@pytest.fixture
def one() -> Iterator[Workers]:
    workers = make(slots=1)
    yield workers
    workers.close()


def doubles(workers: Workers, base: int = 0) -> list[int]:
    return [o.value for o in workers.run([["double", base + i] for i in range(5)])]


def in_a_thread(function: Callable[..., Any], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread


def press_ctrl_c_in(seconds: float) -> None:
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(seconds, signal.pthread_kill, (main, signal.SIGINT)).start()


def test_any_thread_may_ask(one: Workers) -> None:
    # Number 2: alarms work on the main thread only; these limits are the child's own.
    found: dict[int, list[int]] = {}

    def ask(base: int) -> None:
        found[base] = doubles(one, base)

    threads = [in_a_thread(ask, 10 * i) for i in range(6)]
    for thread in threads:
        thread.join()
    assert found == {10 * i: [2 * (10 * i + j) for j in range(5)] for i in range(6)}


def test_a_short_request_does_not_wait_for_a_long_one(one: Workers) -> None:
    one.run([["double", 1]])
    long = in_a_thread(one.run, [["sleep", 0.05]] * 60)
    time.sleep(0.2)
    assert one.run([["double", 2]])[0].value == 4
    assert long.is_alive()
    long.join()


def test_a_slot_goes_to_who_has_waited_longest() -> None:
    process: Any = object()
    slots = Slots([process])
    assert slots.take("first", wait=True) is process
    assert slots.take("second", wait=False) is None
    third = in_a_thread(lambda: slots.take("third", wait=True))
    time.sleep(0.1)
    with slots._changed:
        slots.give_back(process)
        assert slots.take("second", wait=False) is None
    third.join()


def test_coroutines_may_ask(one: Workers) -> None:
    async def ask() -> list[Any]:
        there = await asyncio.gather(*(asyncio.to_thread(doubles, one, i) for i in range(4)))
        return [doubles(one), *there]

    here, *there = asyncio.run(ask())
    assert here == [0, 2, 4, 6, 8]
    assert there == [[2 * (i + j) for j in range(5)] for i in range(4)]


def test_a_bare_fork_has_workers_of_its_own(one: Workers) -> None:
    own = one.run([["process_id"]])[0].value
    busy = in_a_thread(one.run, [["sleep", 1.0]])
    time.sleep(0.3)  # the only slot is taken, and will never be given back in the copy
    copy = os.fork()
    if copy == 0:
        ok = one.run([["spin"], ["double", 3]])[1].value == 6
        ok = ok and one.run([["process_id"]])[0].value != own
        one.close()
        os._exit(0 if ok else 1)
    assert exit_code_within(copy, 60.0) == 0
    busy.join()
    assert one.run([["process_id"]])[0].value == own


def test_a_fork_while_workers_start_does_not_hang() -> None:
    workers = make(slots=1)
    starting = in_a_thread(workers.run, [["double", 1]])
    time.sleep(0.02)  # a lock is held for as long as the interpreter takes to start
    copy = os.fork()
    if copy == 0:
        os._exit(0 if doubles(workers) == [0, 2, 4, 6, 8] else 1)
    assert exit_code_within(copy, 60.0) == 0
    starting.join()
    assert doubles(workers) == [0, 2, 4, 6, 8]
    workers.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_may_ask(one: Workers, method: str) -> None:
    own = one.run([["process_id"]])[0].value
    context: Any = multiprocessing.get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=hostile_jobs.answer_over, args=(there, one))
    process.start()
    assert here.poll(60)
    assert here.recv() == 42
    process.join()
    assert process.exitcode == 0
    assert one.run([["process_id"]])[0].value == own


def test_a_copy_by_pickle_starts_its_own(one: Workers) -> None:
    copy = pickle.loads(pickle.dumps(one))
    pids = [workers.run([["process_id"]])[0].value for workers in (one, copy)]
    assert pids[0] != pids[1]
    assert copy.run([["spin"]])[0].status == "timeout"
    copy.close()
    assert ended_and_reaped(pids[1])
    assert not ended_and_reaped(pids[0])


def test_ctrl_c_stops_what_is_at_work_and_no_more(one: Workers) -> None:
    _, template, worker = one.run([["family"]])[0].value
    began = time.monotonic()
    press_ctrl_c_in(0.3)
    with pytest.raises(KeyboardInterrupt):
        one.run([["sleep", 50.0], ["double", 1]])
    assert time.monotonic() - began < 20
    assert ended_and_reaped(worker)
    assert one.run([["family"]])[0].value[1] == template


def test_a_stuck_worker_does_not_outlive_its_template_for_long() -> None:
    workers = make(slots=1, cpu_seconds=999)
    _, template, worker = workers.run([["family"]])[0].value
    os.kill(template, signal.SIGKILL)
    press_ctrl_c_in(0.3)
    with pytest.raises(KeyboardInterrupt):
        workers.run([["spin"]])
    assert ended_and_reaped(worker, 20.0)
    workers.close()


def test_closing_leaves_no_process_and_may_be_repeated() -> None:
    workers = make()
    families = [o.value for o in workers.run([["family"]] * 8)]
    workers.close()
    workers.close()
    assert all(ended_and_reaped(pid) for _, *pids in families for pid in pids)
    assert workers.run([["double", 7]])[0].value == 14  # and can start again
    workers.close()


def test_closing_waits_for_jobs_of_other_threads(one: Workers) -> None:
    before = one.run([["family"]])[0].value
    outcomes: list[Any] = []
    busy = in_a_thread(lambda: outcomes.extend(one.run([["family", 0.6]])))
    time.sleep(0.2)
    one.close()
    busy.join()
    assert outcomes[0].value == before  # not killed and done again


def test_forgotten_workers_are_stopped_and_reaped() -> None:
    workers = make(slots=1)
    _, *pids = workers.run([["family"]])[0].value
    del workers
    gc.collect()
    assert all(map(ended_and_reaped, pids))


PARENT = """
import os, sys, threading, time
from cropi.verifiers.isolation import Workers
workers = Workers("hostile_jobs:run", slots=1, cpu_seconds=999, wall_seconds=999, megabytes=1024)
_, *pids = workers.run([["family"]])[0].value
copy = os.fork() if "fork" in sys.argv else None
if copy == 0:
    time.sleep(600)
threading.Thread(target=workers.run, args=([["spin"]],), daemon=True).start()
time.sleep(0.2)
print(*pids, copy or "", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [0, signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("forked", [False, True])
def test_a_parent_that_ends_leaves_no_process(number: int, forked: bool) -> None:
    parent = start(PARENT, *["fork"] * forked)
    assert parent.stdout is not None
    template, worker, *copy = map(int, parent.stdout.readline().split())
    assert not ended_and_reaped(worker)
    if number:
        parent.send_signal(number)
    assert parent.stdin is not None
    parent.stdin.close()
    assert parent.wait(60) == -number
    # A copy of the parent that lives on must not keep its workers alive.
    assert ended_and_reaped(worker, 20.0)
    assert ended_and_reaped(template, 20.0)
    for pid in copy:
        os.kill(pid, signal.SIGKILL)
    parent.stdout.close()


FORKED_EXIT = """
import os, sys
from cropi.verifiers.isolation import Workers
workers = Workers("hostile_jobs:run", slots=1, cpu_seconds=9, wall_seconds=99, megabytes=1024)
before = workers.run([["process_id"]])[0].value
copy = os.fork()
if copy == 0:
    workers.run([["process_id"]])
    sys.exit()
os.waitpid(copy, 0)
print(before == workers.run([["process_id"]])[0].value)
"""


def test_a_forked_copy_that_exits_leaves_the_parent_s_workers_alone() -> None:
    parent = start(FORKED_EXIT)
    assert parent.communicate("", timeout=60)[0] == "True\n"


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *arguments], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )


def exit_code_within(pid: int, seconds: float) -> int | None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None
