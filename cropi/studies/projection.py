"""How well does a projected ranking keep the exact one, and what does it save?

Exact means every coordinate of every gradient and no projection. One backward pass a prompt feeds
all projections of the grid, so their rankings differ by projection alone. The noise ceiling is the
agreement of two exact rankings from disjoint halves of the trajectories: a projection that agrees
better than that with one estimate is as good as the estimate itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from cropi.contracts import PositiveInt, Projector, Share
from cropi.influence.candidates import Candidates
from cropi.influence.engine import shapes_of
from cropi.influence.estimator import Estimator
from cropi.influence.exact import Alignments
from cropi.influence.prepared import Prepared
from cropi.influence.reference import Reference
from cropi.policies.policy import Policy
from cropi.projectors.none import NoProjection
from cropi.projectors.projection import Projection
from cropi.reports.runs import Run
from cropi.runtime.errors import CropiError
from cropi.runtime.files import write_json
from cropi.runtime.parts import part
from cropi.runtime.seeds import stream
from cropi.studies.agreement import interval, precision_at, spearman
from cropi.studies.grid import Cell, Stack, cells
from cropi.studies.study import Study, policy_of, stored_groups, validation_sets
from cropi.types import FloatArray, Group

Precision = Literal["float32", "bfloat16", "float16"]
Setting = tuple[str, float, int, str]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Agreement:
    """A setting's rankings against the exact ones: mean, low and high of a 95 % interval."""

    projector: str
    keep: float
    k: int
    precision: str
    spearman: tuple[float, float, float]
    precision_at: tuple[float, float, float]


@part
class ProjectionStudy(Study):
    """Spearman and precision of projected cosine rankings against exact ones, over a grid.

    ``step`` chooses the policy (0: the start, null: the last). Rankings are those of the cosine
    with each validation set's mean gradient.
    """

    step: Annotated[int, Field(ge=0)] | None = 0
    prompts: PositiveInt = 200
    validation_prompts: PositiveInt = 50
    estimator: Estimator = Field(default_factory=Estimator)
    projectors: dict[str, Projector]
    keep: list[Share] = Field(default_factory=lambda: [0.01, 0.1, 1.0])
    k: list[PositiveInt] = Field(default_factory=lambda: [4096, 32768])
    precision: list[Precision] = Field(default=["float32"])
    seeds: PositiveInt = 3
    at: Share = 0.1
    timed_prompts: PositiveInt = 4
    draws: PositiveInt = 200

    def __post_init__(self) -> None:
        for name, projector in self.projectors.items():
            missing = {"keep", "k", "seed"} - set(asdict(projector))  # type: ignore[call-overload]
            if missing:
                raise ValueError(
                    f"projectors.{name} has no option {', '.join(sorted(missing))} to go over"
                )

    def conduct(self, run: Run, cache: Path) -> Path:
        """Writes result.json, table.md and precision.png."""
        from cropi.studies.projection_report import write_report

        policy = policy_of(run, cache, self.step)
        pool, sets = self._groups(run)
        grid = list(cells(
            list(self.projectors), self.keep, self.k, self.precision, self.seeds
        ))  # fmt: skip
        log.info("projection study: %d prompts, %d validation sets, %d projections",
                 len(pool), len(sets), len(grid))  # fmt: skip
        found = self._cosines(policy, pool, sets, grid)
        ceiling = self._ceiling(policy, pool, sets)
        seconds = self._seconds(policy, pool, grid)
        folder = run.folder / "studies" / f"projection-step{self.step}"
        result = {
            "run": run.run_id,
            "model": policy.name,
            "parameters": sum(p.numel() for _, p in policy.trainable()),
            "prompts": len(pool),
            "validation": {name: len(ready) for name, ready in sets.items()},
            "at": self.at,
            "ceiling": ceiling,
            "settings": [asdict(each) for each in self._agreements(grid, found)],
            "seconds": seconds,
        }
        write_json(folder / "result.json", result)
        write_report(folder, result)
        return folder

    def _groups(self, run: Run) -> tuple[list[Prepared], dict[str, list[Prepared]]]:
        """A draw of the prompts with a gradient, and each validation set's first ones."""
        pool = self._ready(stored_groups(run, "train"))
        random = stream(0, "projection study")
        chosen = sorted(random.permutation(len(pool))[: self.prompts].tolist())
        sets = {
            name.removeprefix("validation/"): self._ready(stored_groups(run, name))
            for name in validation_sets(run)
        }
        sets = {name: r[: self.validation_prompts] for name, r in sets.items() if r}
        if not sets:
            raise CropiError(
                f"{run.folder} has no stored rollouts of a validation set with a gradient; "
                f"study a run of selector=cropi"
            )
        if len(chosen) < 10:
            raise CropiError(f"only {len(chosen)} prompts of {run.folder} have a gradient")
        return [pool[i] for i in chosen], sets

    def _ready(self, groups: Any) -> list[Prepared]:
        by_id: dict[str, Group] = {group.prompt_id: group for group in groups}
        return list(Candidates.of(list(by_id), by_id, self.estimator).ready)

    # ── rankings ─────────────────────────────────────────────────────────────────────────────

    def _cosines(
        self,
        policy: Policy,
        pool: Sequence[Prepared],
        sets: Mapping[str, Sequence[Prepared]],
        grid: Sequence[Cell],
    ) -> dict[Cell | None, FloatArray]:
        """[n, M] a cell of the grid; None is exact."""
        shapes = shapes_of(policy)
        projections = [(self._bound(cell, policy), _dtype(cell.precision)) for cell in grid]
        full = NoProjection().bind(shapes, policy.device)
        stack = Stack(shapes, [(full, torch.float32), *projections])
        means = []
        for name, ready in sets.items():
            log.info("gradients of validation/%s", name)
            total = torch.zeros(stack.dimension)
            for each in Reference().gradients(policy, ready, stack, self.estimator):
                total += each.rows[0].float().cpu()
            means.append(total / len(ready))
        exact, *projected = stack.split(torch.stack(means))
        aligned = Alignments(shapes, exact.to(policy.device))
        both = Stack(shapes, [(aligned, torch.float32), *projections])
        rows = torch.empty(len(pool), both.dimension)
        log.info("gradients of %d prompts", len(pool))
        for each in Reference().gradients(policy, pool, both, self.estimator):
            rows[each.places] = each.rows.float().cpu()
        products, *found = both.split(rows)
        lengths = exact.double().norm(dim=1)
        norms = products[:, -1:].double().sqrt()
        cosines: dict[Cell | None, FloatArray] = {
            None: (products[:, :-1].double() / norms / lengths).numpy()
        }
        for cell, own, mean in zip(grid, found, projected, strict=True):
            unit = torch.nn.functional.normalize(own.double(), dim=1)
            cosines[cell] = (unit @ torch.nn.functional.normalize(mean.double(), dim=1).T).numpy()
        return cosines

    def _bound(self, cell: Cell, policy: Policy) -> Projection:
        projector: Any = self.projectors[cell.projector]
        made: Projector = replace(projector, keep=cell.keep, k=cell.k, seed=cell.seed)
        return made.bind(shapes_of(policy), policy.device)

    def _agreements(
        self, grid: Sequence[Cell], found: Mapping[Cell | None, FloatArray]
    ) -> list[Agreement]:
        exact = found[None]
        by_setting: dict[Setting, list[Cell]] = {}
        for cell in grid:
            by_setting.setdefault(cell.setting, []).append(cell)
        agreements = []
        for setting, same in by_setting.items():
            ours = [found[cell][:, m] for cell in same for m in range(exact.shape[1])]
            theirs = [exact[:, m] for _ in same for m in range(exact.shape[1])]
            agreements.append(Agreement(*setting, *self._both(ours, theirs)))
        return agreements

    def _both(
        self, ours: Sequence[FloatArray], theirs: Sequence[FloatArray]
    ) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        random = stream(0, "projection study", "bootstrap")
        correlation = interval(spearman, ours, theirs, draws=self.draws, random=random)
        precision = interval(precision_at(self.at), ours, theirs, draws=self.draws, random=random)
        return correlation, precision

    def _ceiling(
        self, policy: Policy, pool: Sequence[Prepared], sets: Mapping[str, Sequence[Prepared]]
    ) -> dict[str, tuple[float, float, float]]:
        """Two exact rankings, from the even and the odd trajectories of every group.

        Of prompts whose two halves both have differing rewards; whole validation groups, so that
        only the prompts' own noise is counted.
        """
        halves = [(_half(group, 0), _half(group, 1)) for group in pool]
        usable = [(a, b) for a, b in halves if a is not None and b is not None]
        if len(usable) < 10:
            return {}
        shapes = shapes_of(policy)
        full = NoProjection().bind(shapes, policy.device)
        means = []
        for ready in sets.values():
            total = torch.zeros(full.dimension, device=policy.device)
            for each in Reference().gradients(policy, ready, full, self.estimator):
                total += each.rows[0].float()
            means.append(total / len(ready))
        aligned = Alignments(shapes, torch.stack(means))
        cosines = []
        for side in (0, 1):
            groups = [pair[side] for pair in usable]
            found = torch.cat([
                p.rows for p in Reference().gradients(policy, groups, aligned, self.estimator)
            ])
            cosines.append((found[:, :-1] / found[:, -1:].sqrt()).double().cpu().numpy())
        sides = [[c[:, m] for m in range(c.shape[1])] for c in cosines]
        correlation, precision = self._both(sides[0], sides[1])
        return {"spearman": correlation, "precision_at": precision}

    # ── time ─────────────────────────────────────────────────────────────────────────────────

    def _seconds(
        self, policy: Policy, pool: Sequence[Prepared], grid: Sequence[Cell]
    ) -> list[dict[str, Any]]:
        """CPU seconds a prompt of each projector and keep ratio, and of plain training."""
        from cropi.studies.timing import bare_pass, side_by_side

        some = pool[: self.timed_prompts]
        timed: dict[tuple[str, float], Cell] = {}
        for cell in grid:
            if cell.k == max(self.k):
                timed.setdefault((cell.projector, cell.keep), cell)
        rows = []
        for (projector, keep), cell in timed.items():
            projection = self._bound(cell, policy)
            own, bare = side_by_side(
                lambda p=projection: list(  # type: ignore[misc]
                    Reference().gradients(policy, some, p, self.estimator)
                ),
                lambda: bare_pass(policy, some, self.estimator),
            )
            rows.append({
                "projector": projector, "keep": keep, "seconds": own / len(some),
                "bare_seconds": bare / len(some), "ratio_to_bare": own / bare,
            })  # fmt: skip
        return rows


def _dtype(name: str) -> torch.dtype:
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def _half(group: Prepared, side: int) -> Prepared | None:
    """Every second trajectory; None when their rewards do not differ."""
    kept = np.arange(side, len(group.rewards), 2)
    rewards = group.rewards[kept]
    if len(kept) < 2 or rewards.max() == rewards.min():
        return None
    used, response_of = np.unique(group.response_of[kept], return_inverse=True)
    return replace(
        group,
        responses=tuple(group.responses[i] for i in used),
        response_of=response_of,
        behaviour=group.behaviour[kept],
        mask=group.mask[kept],
        rewards=rewards,
    )

