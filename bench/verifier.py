"""How many answers the math verifier grades a second, beside plain math-verify.

    python bench/verifier.py --prompts 250 --group 8

Prints one JSON object. Everything runs on one core (workers too) where the system lets us choose.
``plain_numbers``: integers and decimals, no pair twice; ``plain_in_completions``: the same at the
end of some reasoning, as in the loads below. ``mixed``: groups of completions, as one
training step has them. ``distinct``: one completion for each of prompts x group questions.
``math_verify`` is ``verify(parse(boxed gold), parse(completion))`` on the main thread, as its users
call it; ``math_verify_box`` hands it the last box only, which spares it the completion. ``wrong``
counts rewards that are not the deserved ones. The verifier is a new one for each load (its memory
is empty) with one worker already started; ``cold_seconds`` is what the first answer that needs one
costs. ``cpu_seconds`` are this process's own: where they are well below ``seconds``, the core was
shared with somebody (or a worker had work).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from verifier_items import Item, mixed, plain_numbers

from cropi.boxed import last_boxed
from cropi.types import Prompt
from cropi.verifiers.math import MathVerifier

COLD = r"""
import time
began = time.perf_counter()
from cropi.types import Prompt
from cropi.verifiers.math import MathVerifier
if __name__ == "__main__":
    verifier = MathVerifier(workers=1)
    prompt = Prompt.create("q", [r"\int_0^1 x\,dx"], source="bench")
    assert verifier.verify(r"\boxed{\frac12}", prompt).reward == 1.0
    print(time.perf_counter() - began)
    verifier.close()
"""
ASKS_A_WORKER = (r"\boxed{\frac12}", Prompt.create("q", [r"\int_0^1 x\,dx"], source="bench"))


def on_one_core() -> bool:
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return True


def warm_verifier() -> MathVerifier:
    verifier = MathVerifier(workers=1)
    verifier.verify(*ASKS_A_WORKER)
    return verifier


def batched(items: Sequence[Item]) -> dict[str, Any]:
    verifier = warm_verifier()
    began = _clocks()
    verdicts = verifier.verify_all([(item.text, item.prompt) for item in items])
    ended = _clocks()
    verifier.close()
    wrong = sum(v.reward != item.reward for v, item in zip(verdicts, items, strict=True))
    return _rate(len(items), began, ended) | {"wrong": wrong}


def one_by_one(items: Sequence[Item]) -> dict[str, float]:
    """Milliseconds of single calls."""
    verifier = warm_verifier()
    times = []
    for item in items:
        began = time.perf_counter()
        verifier.verify(item.text, item.prompt)
        times.append(1000 * (time.perf_counter() - began))
    verifier.close()
    cuts = statistics.quantiles(times, n=100)
    return {"p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(times)}


def math_verify(items: Sequence[Item], shown: Callable[[str], str]) -> dict[str, Any]:
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    parse(r"\boxed{x+1}")  # builds its tables
    wrong = 0
    began = _clocks()
    for item in items:
        try:
            gold = parse(rf"\boxed{{{item.prompt.golds[0]}}}")
            reward = float(verify(gold, parse(shown(item.text))))
        except Exception:  # noqa: BLE001 - a trainer gives 0 for whatever goes wrong
            reward = 0.0
        wrong += reward != item.reward
    return _rate(len(items), began, _clocks()) | {"wrong": wrong}


def only_the_box(text: str) -> str:
    return rf"\boxed{{{last_boxed(text) or ''}}}"


def cold_start() -> float:
    ran = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True)
    return float(ran.stdout)


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _rate(
    count: int, began: tuple[float, float], ended: tuple[float, float]
) -> dict[str, Any]:
    seconds, cpu = (end - start for start, end in zip(began, ended, strict=True))
    return {
        "items": count, "seconds": seconds, "cpu_seconds": cpu, "per_second": count / seconds
    }


def measured(items: list[Item], reference: list[Item]) -> dict[str, Any]:
    ours, plain = batched(items), math_verify(reference, str)
    box = math_verify(reference, only_the_box)
    return {
        "cropi": ours, "math_verify": plain, "math_verify_box": box,
        "ratio": ours["per_second"] / plain["per_second"],
        "ratio_box": ours["per_second"] / box["per_second"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=250)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--numbers", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    pinned, size = on_one_core(), options.prompts * options.group
    numbers = plain_numbers(options.numbers, options.seed, reasoning=False)
    reasoned = plain_numbers(options.numbers, options.seed)
    groups = mixed(options.prompts, options.group, options.seed)
    distinct = mixed(size, 1, options.seed + 1)
    report = {
        "machine": platform.processor() or platform.machine(), "python": platform.python_version(),
        "one_core": pinned, "load_average": os.getloadavg()[0],
        "math_verify_version": version("math-verify"), "sympy_version": version("sympy"),
        "cold_seconds": cold_start(),
        "plain_numbers": measured(numbers, numbers[:size]),
        "plain_in_completions": measured(reasoned, reasoned[:size]),
        "mixed": measured(groups, groups),
        "distinct": measured(distinct, distinct),
        "single_calls": {"mixed": one_by_one(groups), "distinct": one_by_one(distinct)},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
