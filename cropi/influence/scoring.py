"""Filling a gradient store: pass by pass, resumable, in one process or several.

The passes are planned over all groups at once, so what a row holds depends neither on the number
of processes nor on where an earlier start was killed. Each process holds one copy of the policy,
the projection's tables and one pass; rows go straight to the memory-mapped store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cropi.contracts import PolicySource, Projector
from cropi.influence.engine import Engine, Gradients, shapes_of
from cropi.influence.estimator import Estimator
from cropi.influence.exact import Alignments
from cropi.influence.plan import Pass
from cropi.influence.prepared import Prepared
from cropi.influence.scaled import Scaled
from cropi.influence.store import GradientStore
from cropi.policies.policy import Policy
from cropi.projectors.projection import Projection
from cropi.runtime.errors import CropiError

# What is kept of every row: Drift, whether it means anything, and what it cost.
COLUMNS = (
    "log_ratio", "ess", "high", "low", "pass_rate", "finite",
    "forward_tokens", "backward_tokens", "seconds",
)  # fmt: skip
PASSES_A_CALL = 16  # hooks are set once a call; rows are safe after each pass all the same
POLL_SECONDS = 0.2

Advance = Callable[[int, str], None]


@dataclass(frozen=True)
class Recipe:
    """How a row is made, in a form that another process can be sent.

    ``directions`` [M, P] replaces the projector by exact inner products; ``scale`` preconditions.
    """

    engine: Engine
    projector: Projector
    estimator: Estimator
    directions: Tensor | None = None
    scale: Mapping[str, Tensor] | None = None

    def projection(self, policy: Policy) -> Projection:
        shapes = shapes_of(policy)
        projection: Projection = (
            self.projector.bind(shapes, policy.device)
            if self.directions is None
            else Alignments(shapes, self.directions)
        )
        return projection if self.scale is None else Scaled(projection, self.scale)


@dataclass(frozen=True)
class Place:
    """Where a store is and what it is of; enough to open it in another process."""

    folder: Path
    identity: Mapping[str, Any]
    rows: int
    dimension: int

    def open(self) -> GradientStore:
        return GradientStore.open(self.folder, self.identity, self.rows, self.dimension, COLUMNS)


@dataclass(frozen=True)
class Filled:
    """A whole store, and the seconds that earlier starts had spent on its rows."""

    store: GradientStore
    earlier_seconds: float


def fill(
    place: Place,
    groups: Sequence[Prepared],
    recipe: Recipe,
    projection: Projection,
    policy: Policy,
    *,
    workers: int = 1,
    source: PolicySource | None = None,
    advance: Advance = lambda done, note: None,
) -> Filled:
    """Compute what the store lacks; ``projection`` is ``recipe``'s for this policy.

    Raises CropiError when a worker process fails.
    """
    store = place.open()
    done = np.ones(store.count, dtype=bool)
    done[store.missing()] = False
    earlier = float(store.column("seconds")[done].sum())
    todo = _todo(store, recipe.engine.passes(policy, groups, projection))
    advance(len(groups) - sum(len(each.places) for each in todo), "")
    if workers > 1 and source is not None and len(todo) > 1:
        _in_processes(place, groups, recipe, workers, source, advance)
    else:
        _fill(store, groups, recipe, projection, policy, todo, lambda n: advance(n, ""))
    return Filled(store, earlier)


def _todo(store: GradientStore, passes: Sequence[Pass]) -> list[Pass]:
    missing = set(store.missing().tolist())
    return [each for each in passes if missing.intersection(each.places)]


def _fill(
    store: GradientStore,
    groups: Sequence[Prepared],
    recipe: Recipe,
    projection: Projection,
    policy: Policy,
    todo: Sequence[Pass],
    done: Callable[[int], None],
) -> None:
    for first in range(0, len(todo), PASSES_A_CALL):
        began = time.perf_counter()
        for part in recipe.engine.gradients(
            policy, groups, projection, recipe.estimator, todo[first : first + PASSES_A_CALL]
        ):
            now = time.perf_counter()
            columns = {name: part.columns[name] for name in COLUMNS if name != "seconds"}
            columns["seconds"] = np.full(len(part.places), (now - began) / len(part.places))
            store.write(part.places, part.rows.float().cpu().numpy(), columns)
            done(len(part.places))
            began = time.perf_counter()


def _in_processes(
    place: Place,
    groups: Sequence[Prepared],
    recipe: Recipe,
    workers: int,
    source: PolicySource,
    advance: Advance,
) -> None:
    """Every worker takes each ``workers``-th pass; tensors are shared, not copied."""
    context = torch.multiprocessing.get_context("spawn")
    failures = context.SimpleQueue()
    threads = torch.get_num_threads()
    running = [
        context.Process(
            target=_work,
            args=(place, groups, recipe, source, number, workers, threads, failures),
            daemon=True,
        )
        for number in range(workers)
    ]
    store = place.open()
    known = store.count - len(store.missing())
    try:
        for process in running:
            process.start()
        while any(process.is_alive() for process in running):
            time.sleep(POLL_SECONDS)
            finished = store.count - len(store.missing())
            if finished > known:
                advance(finished - known, "")
                known = finished
            if any(process.exitcode for process in running):
                break
    finally:
        for process in running:
            if process.is_alive() and any(other.exitcode for other in running):
                process.terminate()
            process.join(timeout=None if not any(p.exitcode for p in running) else 5)
    if not failures.empty():
        raise CropiError(f"a scoring process failed: {failures.get()}")
    if dead := [process.exitcode for process in running if process.exitcode]:
        raise CropiError(
            f"a scoring process ended with exit code {dead[0]}"
            + (" (killed: out of memory?)" if dead[0] == -9 else "")
            + "; the rows it finished are kept. Start again, with fewer workers if memory is short"
        )
    if (left := len(store.missing())) > 0:
        raise CropiError(f"{left} gradients are missing after all scoring processes finished")
    advance(store.count - known, "")


def _work(
    place: Place,
    groups: Sequence[Prepared],
    recipe: Recipe,
    source: PolicySource,
    number: int,
    workers: int,
    threads: int,
    failures: Any,
) -> None:
    """A worker: the same number of threads as its parent, so the same bits."""
    torch.set_num_threads(threads)
    try:
        policy = source.load()
        projection = recipe.projection(policy)
        store = place.open()
        passes = recipe.engine.passes(policy, groups, projection)[number::workers]
        _fill(store, groups, recipe, projection, policy, _todo(store, passes), lambda n: None)
    except BaseException as error:
        failures.put(f"{type(error).__name__}: {error}")
        raise


def one_by_one(
    groups: Sequence[Prepared],
    recipe: Recipe,
    projection: Projection,
    policy: Policy,
    columns: dict[str, list[float]],
    advance: Advance,
) -> Iterator[Gradients]:
    """Gradients of one prompt a pass, so that one row of the model's length is held at a time.

    What each costs is appended to those ``columns`` that are there.
    """
    engine = replace(recipe.engine, batch_tokens=1)
    began = time.perf_counter()
    for part in engine.gradients(policy, groups, projection, recipe.estimator):
        seconds, began = time.perf_counter() - began, time.perf_counter()
        for name, values in columns.items():
            values.append(seconds if name == "seconds" else float(part.columns[name][0]))
        advance(1, "")
        yield part


def mean_direction(
    groups: Sequence[Prepared],
    recipe: Recipe,
    projection: Projection,
    policy: Policy,
    *,
    normalised: bool,
    advance: Advance = lambda done, note: None,
) -> tuple[Tensor, dict[str, np.ndarray]]:
    """[P] mean of full gradients, and the prompts' columns [n]. Raises CropiError when all are 0.

    ``normalised`` makes each gradient's length 1 first.
    """
    total = torch.zeros(projection.dimension, device=policy.device)
    kept = 0
    columns: dict[str, list[float]] = {name: [] for name in COLUMNS}
    for part in one_by_one(groups, recipe, projection, policy, columns, advance):
        row = part.rows[0].float()
        length = row.norm()
        if length > 0:
            total += row / length if normalised else row
            kept += 1
    if kept == 0:
        raise CropiError("none of the validation gradients is finite and different from zero")
    return total / kept, {name: np.array(values) for name, values in columns.items()}
