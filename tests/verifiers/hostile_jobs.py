"""Functions for worker processes: what hostile or unlucky input does to a verifier."""

from __future__ import annotations

import os
import signal
import time
from typing import Any


def run(job: list[Any]) -> Any:
    name, *arguments = job
    return globals()[name](*arguments)


def double(number: int) -> int:
    return 2 * number


def process_id() -> int:
    return os.getpid()


def environment(name: str) -> str | None:
    return os.environ.get(name)


def spin() -> None:
    while True:
        pass


def hide_interrupt() -> int:
    """What a library's bare ``except`` does to a timeout."""
    try:
        spin()
    except BaseException:  # noqa: BLE001
        return 7
    return 0


def huge_integer() -> int:
    return (3 ** (3**18)).bit_length()


def one_long_instruction() -> int:
    """A loop in C that never looks for signals: no handler of Python gets a turn."""
    return max(range(10**12))


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def fill_memory() -> int:
    return len(bytearray(3 * 2**30))


def fail() -> None:
    raise ValueError("bad input")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def chatter() -> str:
    print("Timeout during parsing", flush=True)
    return "said"
