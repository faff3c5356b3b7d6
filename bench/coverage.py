"""How often the 95 % interval of an acceleration holds the truth, in simulated comparisons.

    python bench/coverage.py --comparisons 400

Baseline and method have the same rising accuracy, the method at so many times the speed; there
are 13 evaluations with a point of noise each. Seeds differ by two points (standard deviation), and
half of that variance is shared by the two runs of a seed. Prints one JSON object: by rule and
number of seeds, the share of intervals over steps that hold the true ratio.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cropi.reports.acceleration import acceleration, target_of
from cropi.reports.arms import TARGETED, Arm
from cropi.reports.runs import Run
from cropi.runtime.seeds import stream
from cropi.tracking.metrics_file import Record

STEPS = np.arange(0, 241, 20)
NOISE, SPREAD = 0.01, 0.02


@dataclass(frozen=True)
class Simulated(Run):
    """A run that is nowhere on disk."""

    values: tuple[float, ...] = ()

    @property
    def milestones(self) -> tuple[Record, ...]:  # type: ignore[override]
        return tuple(
            Record(int(step), 0, "evaluation", {TARGETED: value})
            for step, value in zip(STEPS, self.values, strict=True)
        )


def arms(generator: np.random.Generator, seeds: int, ratio: float) -> list[Arm]:
    """Baseline and method, a run of each for every seed."""
    runs: dict[str, list[Run]] = {"full": [], "method": []}
    for seed in range(seeds):
        shared = generator.normal(0.0, SPREAD / np.sqrt(2))
        for name, speed in (("full", 1.0), ("method", ratio)):
            rise = 1.0 - np.exp(-3.0 * speed * STEPS / STEPS[-1])
            level = 0.5 + shared + generator.normal(0.0, SPREAD / np.sqrt(2))
            values = 0.2 + (level - 0.2) * rise + generator.normal(0.0, NOISE, len(STEPS))
            config = {"seed": seed, "selector": name}
            runs[name].append(
                Simulated(Path(), name, config, {"selector": name}, {}, values=tuple(values))
            )
    return [Arm(name, (), tuple(own)) for name, own in runs.items()]


def covered(rule: str, seeds: int, comparisons: int, ratio: float) -> float:
    held = 0
    for number in range(comparisons):
        baseline, method = arms(stream(number, "coverage", seeds), seeds, ratio)
        found = acceleration(baseline, method, target_of(baseline, rule), "steps", seed=number)
        if found.low is not None and found.high is not None:
            held += found.low <= ratio <= found.high
    return held / comparisons


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--comparisons", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 5, 10])
    parser.add_argument("--ratio", type=float, default=1.5)
    asked = parser.parse_args()
    print(json.dumps({
        "comparisons": asked.comparisons, "ratio": asked.ratio,
        **{
            rule: {n: covered(rule, n, asked.comparisons, asked.ratio) for n in asked.seeds}
            for rule in ("plateau", "final")
        },
    }))  # fmt: skip


if __name__ == "__main__":
    main()
