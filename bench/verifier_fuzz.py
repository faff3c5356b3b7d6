"""The math verifier on many random and damaged answers, with an eye on what it touches.

    python bench/verifier_fuzz.py --inputs 50000 --seed 0

Answers come from tests/verifiers/grammar.py, which knows their values; half of them are damaged.
Prints one JSON object. ``mistakes``: rewards that are not what the values say. ``faults``: verdicts
that break a rule (tests/verifiers/damage.py). ``asymmetric``: swapping gold and answer changes the
reward although both can be read and equality is symmetric. ``touched``: files opened for writing,
connections and programs, seen by audit hooks in this process and in every worker (each writes what
it sees to a pipe); ``machinery`` is what starting and ending workers takes; ``audited_workers``
counts the programs started that have such a hook (their forks keep it).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "verifiers"))
import grammar
from damage import damaged, fault, swappable
from spelling import written

from cropi.types import Prompt, Verdict
from cropi.verifiers.math import MathVerifier

_OPTION = re.compile(r"\A\W*(?:text(?:bf)?)?\W*[A-E]\W*\Z")  # a lone letter has its own rules
BATCH = 200
SHOWN = 20
# Runs in this process and, as its sitecustomize, in every Python that is started below.
HOOK = r'''
import os, sys
_pipe = os.open({pipe!r}, os.O_WRONLY | os.O_NONBLOCK)
_writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_watched = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn",
            "os.spawn", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink",
            "os.chmod", "os.kill", "shutil.", "ctypes.dlopen", "urllib.", "ftplib.", "smtplib.",
            "webbrowser.")
def _report(text):
    line = f"{{os.getpid()}} {{text}}"[:500].replace("\n", " ") + "\n"
    try:
        os.write(_pipe, line.encode("utf-8", "replace"))
    except OSError:
        pass
def _hook(event, args):
    if event == "open":
        path, mode, flags = args
        written = isinstance(flags, int) and flags & _writes
        is_file = not isinstance(path, int) and path != os.devnull and ".pyc" not in str(path)
        if written and is_file:
            _report(f"open {{path!r}} {{mode!r}}")
    elif event.startswith(_watched):
        if args == (None,) or ".pyc" in str(args):
            return  # ctypes opens the program itself; Python keeps what it compiled
        _report(f"{{event}} {{args!r}}")
_report("hooked")
sys.addaudithook(_hook)
'''


# What starting and ending killable workers takes; none of it reaches beyond this machine.
MACHINERY = ("os.fork", "os.kill", "socket.__new__", "socket.sendmsg")


class Audit:
    """Collects what the hooks report. What our own workers take is counted apart."""

    def __init__(self, folder: Path) -> None:
        self.touched: Counter[str] = Counter()
        self.machinery: Counter[str] = Counter()
        self.hooked: set[int] = set()
        pipe = str(folder / "events")
        os.mkfifo(pipe)
        self._reader = os.open(pipe, os.O_RDWR)  # also a writer: never at its end
        source = HOOK.format(pipe=pipe)
        (folder / "sitecustomize.py").write_text(source)
        sys.path.insert(0, str(folder))  # workers inherit the import path
        threading.Thread(target=self._listen, daemon=True).start()
        exec(compile(source, "hook", "exec"), {})

    def _listen(self) -> None:
        with os.fdopen(self._reader, "rb") as lines:
            for line in lines:
                self._note(line.decode("utf-8", "replace").rstrip("\n"))

    def _note(self, line: str) -> None:
        process, _, event = line.partition(" ")
        starts_worker = event.startswith("subprocess.Popen") and "cropi.verifiers" in event
        if event == "hooked":
            self.hooked.add(int(process))
        elif starts_worker or event.startswith(MACHINERY):
            self.machinery[event.split(" ")[0]] += 1
        else:
            self.touched[event] += 1


def pairs(random: Random, count: int) -> Iterator[tuple[str, str, float | None]]:
    """Gold, answer and the deserved reward where the values tell it."""
    while count > 0:
        tree = grammar.answer(random)
        gold, kind = written(tree, random), random.random()
        count -= 1
        if kind < 0.2:
            yield gold, written(tree, random), 1.0
        elif kind < 0.35:
            other = grammar.answer(random)
            known = grammar.comparable(tree, other)
            yield gold, written(other, random), float(tree.value == other.value) if known else None
        elif kind < 0.5:
            scalar = grammar.scalar(random)
            yield written(scalar, random), written(grammar.nudged(scalar, random), random), 0.0
        else:
            answer = damaged(gold, random)
            yield (answer, answer, None) if kind > 0.95 else (gold, answer, None)


def graded(verifier: MathVerifier, batch: list[tuple[str, str]]) -> list[Verdict]:
    return verifier.verify_all([
        (rf"so \boxed{{{answer}}}", Prompt("id", "q", (gold,), "fuzz"))
        for gold, answer in batch
    ])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=50000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(fuzzed(options.inputs, options.seed, Path(folder)), indent=2))


def fuzzed(inputs: int, seed: int, folder: Path) -> dict[str, Any]:
    audit = Audit(folder)
    verifier = MathVerifier(workers=1)
    found: dict[str, list[str]] = {
        name: [] for name in ("crashes", "mistakes", "faults", "asymmetric")
    }
    statuses: Counter[str] = Counter()
    worst, began = 0.0, time.perf_counter()
    source, graded_so_far = pairs(Random(seed), inputs), 0
    while graded_so_far < inputs:
        batch = [next(source) for _ in range(min(BATCH, inputs - graded_so_far))]
        graded_so_far += len(batch)
        try:
            there = graded(verifier, [(gold, answer) for gold, answer, _ in batch])
            back = graded(verifier, [(answer, gold) for gold, answer, _ in batch])
        except Exception as problem:  # noqa: BLE001 - a crash is what we look for
            found["crashes"].append(f"{problem!r}: {batch!r}"[:2000])
            continue
        for (gold, answer, deserved), one, other in zip(batch, there, back, strict=True):
            case = ascii((gold, answer, one.reward, one.status, other.reward, other.status))
            statuses[one.status] += 1
            worst = max(worst, one.milliseconds, other.milliseconds)
            if deserved is not None and {one.reward, other.reward} != {deserved}:
                found["mistakes"].append(case)
            for verdict in (one, other):
                if problem := fault(verdict):
                    found["faults"].append(f"{problem}: {case}")
            differ = one.status == other.status == "ok" and one.reward != other.reward
            if differ and swappable(gold, answer) and not _OPTION.search(gold):
                found["asymmetric"].append(case)
    seconds = time.perf_counter() - began
    verifier.close()
    time.sleep(0.5)  # for what is still in the pipe
    return {
        "inputs": inputs, "seed": seed, "seconds": seconds, "worst_ms": worst,
        "statuses": dict(statuses),
        **{name: len(cases) for name, cases in found.items()},
        "touched": dict(audit.touched), "machinery": dict(audit.machinery),
        "audited_workers": len(audit.hooked - {os.getpid()}),
        "examples": {name: cases[:SHOWN] for name, cases in found.items() if cases},
    }


if __name__ == "__main__":
    main()
