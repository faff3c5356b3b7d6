"""Filling a gradient store: pass by pass, resumable, in one process or several.

The passes are planned over all groups at once, so what a row holds depends neither on the number
of processes nor on where an earlier start was killed. Each process holds one copy of the policy,
the projection's tables and one pass; rows go straight to their places in the store's file.
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
from cropi.influence.processes import run_all
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

    Raises CropiError when a worker process fails; the rows that were finished stay.
    """
    store = place.open()
    done = np.ones(store.count, dtype=bool)
    done[store.missing()] = False
    earlier = float(store.column("seconds")[done].sum())
    todo = [
        each
        for each in recipe.engine.passes(policy, groups, projection)
        if not done[list(each.places)].all()
    ]
    finished = len(groups) - sum(len(each.places) for each in todo)
    advance(finished, "")
    workers = min(workers, len(todo))
    if workers > 1 and source is not None:

        def tell() -> None:
            nonlocal finished
            more = store.count - len(store.missing()) - finished
            if more > 0:  # a pass that is written again is unfinished for a moment
                advance(more, "")
                finished += more

        threads = torch.get_num_threads()
        run_all(
            _work,
            [(place, groups, recipe, source, todo[n::workers], workers, threads)
             for n in range(workers)],
            tell,
        )  # fmt: skip
        tell()
    else:
        _fill(store, groups, recipe, projection, policy, todo, lambda n: advance(n, ""))
    if (left := len(store.missing())) > 0:
        raise CropiError(f"{left} gradients are missing although every pass was computed")
    return Filled(store, earlier)


def _fill(
    store: GradientStore,
    groups: Sequence[Prepared],
    recipe: Recipe,
    projection: Projection,
    policy: Policy,
    todo: Sequence[Pass],
    done: Callable[[int], None],
    workers: int = 1,
) -> None:
    """``seconds`` are of the run's clock, of which one of several workers uses its share."""
    for first in range(0, len(todo), PASSES_A_CALL):
        began = time.perf_counter()
        for part in recipe.engine.gradients(
            policy, groups, projection, recipe.estimator, todo[first : first + PASSES_A_CALL]
        ):
            seconds = (time.perf_counter() - began) / len(part.places) / workers
            columns = {name: part.columns[name] for name in COLUMNS if name != "seconds"}
            columns["seconds"] = np.full(len(part.places), seconds)
            store.write(part.places, part.rows.float().cpu().numpy(), columns)
            done(len(part.places))
            began = time.perf_counter()


def _work(
    place: Place,
    groups: Sequence[Prepared],
    recipe: Recipe,
    source: PolicySource,
    todo: Sequence[Pass],
    workers: int,
    threads: int,
) -> None:
    """A worker: the same weights and number of threads as its parent, so the same bits."""
    torch.set_num_threads(threads)
    policy = source.load()
    if (wanted := place.identity.get("policy")) not in (None, policy.fingerprint()):
        raise CropiError(
            f"it loaded other weights than the run's, {wanted}, from "
            f"{source.weights or 'the starting model'}; set workers=1"
        )
    projection = recipe.projection(policy)
    _fill(place.open(), groups, recipe, projection, policy, todo, lambda n: None, workers)


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
    """[P] mean of the full gradients that are not 0, and the prompts' columns [n]; 0 if all are.

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
    return total / max(kept, 1), {name: np.array(values) for name, values in columns.items()}
