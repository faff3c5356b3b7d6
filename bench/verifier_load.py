"""Whether the verdicts of the math verifier depend on what else the machine does.

    python bench/verifier_load.py --prompts 250 --group 8 --busy 1 8

Grades one mixed load and the hostile answers of tests/verifiers/hostile.py, one call each, by a
new verifier for each number of competing busy processes. Prints one JSON object: how many rewards
and statuses differ from the first round's, and the slowest grades in wall seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from verifier_items import mixed

from cropi.types import Prompt, Verdict
from cropi.verifiers.math import MathVerifier

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "verifiers"))
import hostile

HOSTILE_GOLDS = ("41", "x^2+1", "[1,4)", r"\{1,2\}", r"\frac{\pi}{4}")
Graded = list[tuple[Verdict, float]]


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    running = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def graded(items: list[tuple[str, Prompt]]) -> Graded:
    """Verdicts and wall seconds, one call at a time."""
    verifier = MathVerifier(workers=1)
    prompt = Prompt.create("q", [r"\int_0^1 x\,dx"], source="bench")
    verifier.verify(r"\boxed{\frac12}", prompt)  # starts a worker
    found = []
    for text, prompt in items:
        began = time.perf_counter()
        verdict = verifier.verify(text, prompt)
        found.append((verdict, time.perf_counter() - began))
    verifier.close()
    return found


def summary(found: Graded, first: Graded, texts: list[str]) -> dict[str, Any]:
    pairs = [(a, b) for (a, _), (b, _) in zip(found, first, strict=True)]
    slow = sorted(zip((s for _, s in found), texts, strict=True), reverse=True)[:20]
    return {
        "different_rewards": sum(a.reward != b.reward for a, b in pairs),
        "different_statuses": sum(a.status != b.status for a, b in pairs),
        "statuses": dict(Counter(verdict.status for verdict, _ in found)),
        "over_2_seconds": sum(seconds > 2.0 for _, seconds in found),
        "slowest": {ascii(text[-60:]): seconds for seconds, text in slow},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=250)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--busy", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    loads = {
        "mixed": [(i.text, i.prompt) for i in mixed(options.prompts, options.group, options.seed)],
        "hostile": [
            (rf"\boxed{{{text}}}", Prompt("id", "q", (gold,), "bench"))
            for at, (_, text) in enumerate(hostile.inputs())
            for gold in {"41", HOSTILE_GOLDS[at % len(HOSTILE_GOLDS)]}
        ],
    }
    report: dict[str, Any] = {"cores": os.cpu_count()}
    for name, items in loads.items():
        report[name] = {"items": len(items)}
        first: Graded = []
        for count in options.busy:
            with busy_processes(count):
                found = graded(items)
            first = first or found
            report[name][f"busy_{count}"] = summary(found, first, [text for text, _ in items])
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
