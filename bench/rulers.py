"""What it costs to compare a pool of stored gradients: seconds and peak memory.

    python bench/rulers.py --prompts 50000 --k 32768 --directions 2

One JSON object a line, each measured in a process of its own. Rows are random, of unequal lengths,
with shared directions as gradients have: ``--share`` of their energy lies in ``--shared`` of them,
the i-th with 1/i of the first's. They are written to a real gradient store in a temporary folder
(prompts x k x 4 bytes; ``--folder`` says where), which is deleted at the end. ``residual`` bounds
the relative error of the inverse's scores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cropi.influence.inverse import inverse_scores
from cropi.influence.learnalign import learnalign_scores
from cropi.influence.rulers import compared, dots_and_norms
from cropi.influence.store import GradientStore
from cropi.runtime.seeds import stream

BATCH = 256


def opened(folder: Path, options: argparse.Namespace) -> GradientStore:
    return GradientStore.open(folder / "store", {}, options.prompts, options.k, ("norm",))


def write(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The clock runs for the store only, not for drawing numbers."""
    store = opened(folder, options)
    axes = stream(0, "axes").standard_normal((options.shared, options.k), dtype=np.float32)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    energy = 1.0 / np.arange(1, options.shared + 1)
    weights = np.sqrt(options.share * energy / energy.sum()).astype(np.float32)
    noise = np.float32(np.sqrt((1.0 - options.share) / options.k))
    seconds = 0.0
    for start in range(0, options.prompts, BATCH):
        places = range(start, min(start + BATCH, options.prompts))
        random = stream(0, "rows", start)
        mixes = random.standard_normal((len(places), options.shared), dtype=np.float32) + 0.5
        rows = random.standard_normal((len(places), options.k), dtype=np.float32) * noise
        rows += mixes * weights @ axes
        rows *= np.exp(random.standard_normal((len(places), 1), dtype=np.float32))
        began = time.perf_counter()
        store.write(places, rows, {"norm": np.zeros(len(places))})
        seconds += time.perf_counter() - began
    return {"seconds": seconds, "gigabytes": options.prompts * options.k * 4 / 1e9}


def alignments(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Against the means of a few rows each, which stand for validation sets."""
    store = opened(folder, options)
    directions = np.stack([
        store.rows(range(50 * m, 50 * m + 50)).mean(axis=0) for m in range(options.directions)
    ])
    began = time.perf_counter()
    dots, norms = dots_and_norms(store, directions)
    seconds = time.perf_counter() - began
    lengths = np.linalg.norm(directions.astype(np.float64), axis=1)
    np.save(folder / "cosines.npy", compared(dots, norms, lengths, "cosine"))
    return {"seconds": seconds}


def learnalign(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    began = time.perf_counter()
    learnalign_scores(opened(folder, options), np.full(options.prompts, 0.25))
    return {"seconds": time.perf_counter() - began}


def inverse(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    cosines = np.load(folder / "cosines.npy")
    began = time.perf_counter()
    solved = inverse_scores(
        opened(folder, options),
        np.ones(options.prompts, dtype=bool),
        cosines,
        mu=options.mu,
        memory_mb=options.memory_mb,
        rank=options.rank,
    )
    return {
        "seconds": time.perf_counter() - began,
        "mu": options.mu,
        "rank": options.rank,
        "iterations": solved.iterations,
        "residual": solved.residual,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--k", type=int, default=4096)
    parser.add_argument("--directions", type=int, default=2)
    parser.add_argument("--shared", type=int, default=200)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--mu", type=float, default=1.0)
    parser.add_argument("--rank", type=int, default=256)
    parser.add_argument("--memory-mb", type=int, default=1024)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    needed = options.prompts * options.k * 4
    if (free := shutil.disk_usage(options.folder or tempfile.gettempdir()).free) < 1.1 * needed:
        sys.exit(f"the rows need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free: see --folder")
    with tempfile.TemporaryDirectory(prefix="cropi-rulers-", dir=options.folder) as name:
        for work in (write, alignments, learnalign, inverse):
            apart(work, Path(name), options)


Work = Callable[[Path, argparse.Namespace], dict[str, Any]]


def apart(work: Work, folder: Path, options: argparse.Namespace) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=measured, args=(work, folder, options)
    )
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{work.__name__} ended with exit code {process.exitcode}")


def measured(work: Work, folder: Path, options: argparse.Namespace) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    found = work(folder, options)
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "ruler": work.__name__, "prompts": options.prompts, "k": options.k,
        "directions": options.directions, **found,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": after.ru_maxrss / 1024, "start_mb": before.ru_maxrss / 1024,
    }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
