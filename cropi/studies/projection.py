"""How well does a projected ranking keep the exact one, and what does it save?

Exact means every coordinate of every gradient and no projection. One backward pass a prompt feeds
all projections of the grid, so their rankings differ by projection alone. The noise ceiling is the
agreement of two exact rankings from disjoint halves of the trajectories: where a projection agrees
better than that with the exact ranking, its error is smaller than the estimate's own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from cropi.contracts import PositiveInt, Projector, Share
from cropi.influence.candidates import Candidates
from cropi.influence.engine import Engine, shapes_of
from cropi.influence.estimator import Estimator
from cropi.influence.fast import Fast
from cropi.influence.prepared import Prepared
from cropi.influence.reference import Reference
from cropi.projectors.projection import Projection
from cropi.reports.runs import Run
from cropi.runtime.errors import CropiError
from cropi.runtime.files import write_json
from cropi.runtime.parts import build, part
from cropi.runtime.seeds import stream
from cropi.studies.agreement import interval, precision_at, spearman
from cropi.studies.grid import Cell, cells
from cropi.studies.rankings import Scene, cosines, half_cosines
from cropi.studies.study import Study, policy_of, stored_groups, validation_sets
from cropi.types import FloatArray, Group

Precision = Literal["float32", "bfloat16", "float16"]
Interval = tuple[float, float, float]  # mean, low, high
FEWEST = 10  # prompts that a ranking makes sense for
log = logging.getLogger(__name__)


@part
class ProjectionStudy(Study):
    """Spearman and precision of projected cosine rankings against exact ones, over a grid.

    ``step`` chooses the policy (0: the start, null: the last). Rankings are those of the cosine
    with each validation set's mean gradient, by the estimator of the run's own selector.
    """

    step: Annotated[int, Field(ge=0)] | None = 0
    prompts: PositiveInt = 200
    validation_prompts: PositiveInt = 50
    projectors: dict[str, Projector]
    keep: list[Share] = Field(default=[0.001, 0.01, 0.1, 1.0])
    k: list[PositiveInt] = Field(default=[4096, 32768])
    precision: list[Precision] = Field(default=["float32"])
    seeds: PositiveInt = 3
    at: Share = 0.1
    timed_prompts: Annotated[int, Field(ge=0)] = 4
    draws: PositiveInt = 200

    def __post_init__(self) -> None:
        if not self.projectors:
            raise ValueError("projectors: name at least one")
        for name, projector in self.projectors.items():
            lacking = {"keep", "k", "seed"} - {f.name for f in fields(projector)}  # type: ignore[arg-type]
            if lacking:
                raise ValueError(
                    f"projectors.{name} has no {' and no '.join(sorted(lacking))} to go over"
                )

    def conduct(self, run: Run, cache: Path) -> Path:
        """Writes result.json, table.md and precision.png."""
        from cropi.studies.projection_report import write_report

        scene = self._scene(run, cache)
        grid = list(cells(list(self.projectors), self.keep, self.k, self.precision, self.seeds))
        log.info("projection study: %d prompts, %d validation sets, %d projections",
                 len(scene.pool), len(scene.sets), len(grid))  # fmt: skip
        exact, projected, means = cosines(
            scene, [(self._bound(c, scene), getattr(torch, c.precision)) for c in grid]
        )
        result = {
            "run": run.run_id,
            "model": scene.policy.name,
            "step": self.step,
            "parameters": sum(p.numel() for _, p in scene.policy.trainable()),
            "prompts": len(scene.pool),
            "validation": {name: len(ready) for name, ready in scene.sets.items()},
            "at": self.at,
            "ceiling": self._ceiling(scene, means),
            "settings": self._agreements(grid, exact, projected),
            "seconds": self._seconds(scene, grid),
        }
        step = "last" if self.step is None else self.step
        folder = run.folder / "studies" / f"projection-step-{step}"
        write_json(folder / "result.json", result)
        write_report(folder, result)
        return folder

    def _scene(self, run: Run, cache: Path) -> Scene:
        """A draw of the prompts with a gradient, and the first ones of each validation set."""
        node = run.config["selector"].get("estimator")
        estimator = Estimator() if node is None else build(node, Estimator, "selector.estimator")
        pool = _ready(stored_groups(run, "train"))
        order = stream(0, "projection study").permutation(len(pool))
        chosen = sorted(order[: self.prompts].tolist())
        if len(chosen) < FEWEST:
            raise CropiError(f"only {len(chosen)} stored prompts of {run.folder} have a gradient")
        sets = {
            name.removeprefix("validation/"): _ready(stored_groups(run, name))
            for name in validation_sets(run)
        }
        sets = {name: ready[: self.validation_prompts] for name, ready in sets.items() if ready}
        if not sets:
            raise CropiError(
                f"{run.folder} has no stored rollouts of a validation set with a gradient; "
                f"study a run of selector=cropi"
            )
        policy = policy_of(run, cache, self.step)
        return Scene(policy, estimator, [pool[i] for i in chosen], sets)

    def _bound(self, cell: Cell, scene: Scene) -> Projection:
        projector: Any = self.projectors[cell.projector]
        made: Projector = replace(projector, keep=cell.keep, k=cell.k, seed=cell.seed)
        return made.bind(shapes_of(scene.policy), scene.policy.device)

    def _agreements(
        self, grid: Sequence[Cell], exact: FloatArray, projected: Sequence[FloatArray]
    ) -> list[dict[str, Any]]:
        """A row a setting, over its seeds and the validation sets."""
        rows = []
        for setting in dict.fromkeys(cell.setting for cell in grid):
            same = [f for c, f in zip(grid, projected, strict=True) if c.setting == setting]
            ours = [found[:, m] for found in same for m in range(exact.shape[1])]
            theirs = [exact[:, m] for _ in same for m in range(exact.shape[1])]
            names = ("projector", "keep", "k", "precision")
            rows.append(dict(zip(names, setting, strict=True)) | self._agreement(ours, theirs))
        return rows

    def _agreement(
        self, ours: Sequence[FloatArray], theirs: Sequence[FloatArray]
    ) -> dict[str, Interval]:
        random = stream(0, "projection study", "bootstrap")
        return {
            "spearman": interval(spearman, ours, theirs, draws=self.draws, random=random),
            "precision_at": interval(
                precision_at(self.at), ours, theirs, draws=self.draws, random=random
            ),
        }

    def _ceiling(self, scene: Scene, means: torch.Tensor) -> dict[str, Any]:
        """Empty where too few prompts have differing rewards in both halves."""
        even, odd = half_cosines(scene, means)
        if len(even) < FEWEST:
            return {}
        sides = [[side[:, m] for m in range(side.shape[1])] for side in (even, odd)]
        return {"prompts": len(even), **self._agreement(*sides)}

    def _seconds(self, scene: Scene, grid: Sequence[Cell]) -> list[dict[str, Any]]:
        """CPU seconds a prompt of each projector, keep ratio and engine, beside plain training.

        Both engines repeat the prompt for every response, as training does.
        """
        from cropi.studies.timing import bare_pass, side_by_side

        some = scene.pool[: self.timed_prompts]
        if not some:
            return []
        engines: dict[str, Engine] = {
            "fast": Fast(prefix="repeated"), "reference": Reference(prefix="repeated"),
        }  # fmt: skip
        timed = {(c.projector, c.keep): c for c in grid if c.k == max(self.k)}
        rows = []
        for (projector, keep), cell in timed.items():
            projection = self._bound(cell, scene)
            for name, engine in engines.items():
                try:
                    own, bare = side_by_side(
                        lambda e=engine, p=projection: list(  # type: ignore[misc]
                            e.gradients(scene.policy, some, p, scene.estimator)
                        ),
                        lambda: bare_pass(scene.policy, some, scene.estimator),
                    )
                except CropiError as error:  # a layer that the fast engine does not know
                    log.warning("not timed: %s", error)
                    continue
                rows.append({
                    "projector": projector, "keep": keep, "engine": name,
                    "seconds": own / len(some), "bare_seconds": bare / len(some),
                    "ratio_to_bare": own / bare,
                })  # fmt: skip
        return rows


def _ready(groups: Iterable[Group]) -> list[Prepared]:
    by_id = {group.prompt_id: group for group in groups}
    return list(Candidates.of(list(by_id), by_id).ready)
