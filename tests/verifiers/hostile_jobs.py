"""Functions for worker processes: what hostile or unlucky input does to a verifier."""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PREPARED_BY: list[int] = []
HOARD: list[bytearray] = []


def prepare() -> None:
    PREPARED_BY.append(os.getpid())


def run(job: list[Any]) -> Any:
    name, *arguments = job
    return globals()[name](*arguments)


def answer_over(connection: Any, workers: Any) -> None:
    """For multiprocessing: a job's value from another process."""
    connection.send(workers.run([["double", 21]])[0].value)
    workers.close()


def double(number: int) -> int:
    return 2 * number


def process_id() -> int:
    return os.getpid()


def family(seconds: float = 0.0) -> list[Any]:
    time.sleep(seconds)
    return [PREPARED_BY, os.getppid(), os.getpid()]


def environment(name: str) -> str | None:
    return os.environ.get(name)


def limits() -> list[int]:
    names = ("NOFILE", "FSIZE", "CORE", "NPROC")
    return [resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1] for name in names]


def spin() -> None:
    while True:
        pass


def hide_interrupt() -> int:
    """What a library's bare ``except`` does to a timeout."""
    while True:
        try:
            spin()
        except BaseException:  # noqa: BLE001
            continue


def disarm() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, signal.SIG_IGN)
    spin()


def huge_integer() -> int:
    return (3 ** (3**18)).bit_length()


def one_long_instruction() -> int:
    """A loop in C that never looks for signals: no handler of Python gets a turn."""
    return max(range(10**12))


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def fill_memory(megabytes: int) -> int:
    return len(bytearray(megabytes * 2**20))


def hoard(megabytes: int) -> int:
    HOARD.append(bytearray(megabytes * 2**20))
    return os.getpid()


def fail() -> None:
    raise ValueError("bad input")


def fail_with_half_a_character() -> None:
    raise ValueError("\ud800")


def leave() -> None:
    sys.exit(0)


def die() -> None:
    os.abort()


def chatter() -> str:
    print("Timeout during parsing", flush=True)
    return "said"


def no_json() -> Any:
    return {1, 2}


def not_a_number() -> float:
    return float("nan")


def write(text: str, times: int) -> int:
    """What a compromised worker can do: write to every open file, its parent's socket too."""
    for _ in range(times):
        for number in range(3, 16):
            with suppress(OSError):
                os.write(number, text.encode(errors="surrogatepass"))
    return 1


def forge(reply: str) -> int:
    write(reply, 1)
    time.sleep(0.2)
    return 1


def trickle() -> None:
    while True:
        write(" ", 1)
        time.sleep(0.01)


def swallow(job: list[Any]) -> str:
    with suppress(BaseException):
        run(job)
    return "nothing happened"


def write_file(path: str) -> None:
    Path(path).write_text("written")


def append_file(path: str) -> None:
    os.open(path, os.O_APPEND | os.O_CREAT | os.O_RDWR)


def remove(path: str) -> None:
    os.remove(path)


def rename(path: str) -> None:
    os.rename(path, path + ".moved")


def make_folder(path: str) -> None:
    os.mkdir(path + ".folder")


def change_mode(path: str) -> None:
    os.chmod(path, 0)


def shell(path: str) -> None:
    os.system(f"touch '{path}.touched'")


def program(path: str) -> None:
    subprocess.run(["touch", path + ".touched"], check=True)


def spawn(path: str) -> None:
    os.posix_spawn("/usr/bin/touch", ["touch", path + ".touched"], {})


def execute(path: str) -> None:
    os.execv("/usr/bin/touch", ["touch", path + ".touched"])


def fork(path: str) -> None:
    if os.fork() == 0:
        os._exit(0)


def kill(path: str) -> None:
    os.kill(os.getppid(), signal.SIGTERM)


def connect(path: str) -> None:
    socket.create_connection(("127.0.0.1", 9), timeout=1)


def foreign_function(path: str) -> None:
    ctypes.CDLL(None).getpid()


def evaluate(text: str) -> Any:
    return eval(text)


def read_file(path: str) -> str:
    return Path(path).read_text()


def import_late(folder: str, name: str) -> Any:
    sys.path.insert(0, folder)
    return importlib.import_module(name).VALUE
