"""From stored groups to alignments: validation sets' mean gradients, then the pool's against them.

With a projector the rows of every prompt are kept in gradient stores, so that any later question
(another ruler, the inverse) reads them again. Without one, rows would be as long as the model, so
only the validation means are held and each prompt leaves M inner products and its norm.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from cropi.contracts import SelectionContext
from cropi.influence.candidates import Candidates
from cropi.influence.precondition import Precondition, mean_square, scale_of
from cropi.influence.rulers import BLOCK_BYTES, dots_and_norms, mean_row
from cropi.influence.scoring import COLUMNS, Place, Recipe, fill, mean_direction, one_by_one
from cropi.influence.store import GradientStore
from cropi.projectors.none import NoProjection
from cropi.projectors.projection import Projection
from cropi.runtime.errors import CropiError
from cropi.runtime.files import write_atomically
from cropi.types import Cost, FloatArray, Group

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Influences:
    """n candidates' gradients g against M validation sets' mean gradients v.

    dots [n, M] = ⟨g, v⟩; norms [n] = ‖g‖ (0 when the engine gives none); lengths [M] = ‖v‖;
    columns [n] are ``COLUMNS``. ``rows`` [n, k] and ``directions`` [M, k] where rows are kept.
    """

    dots: FloatArray
    norms: FloatArray
    lengths: FloatArray
    columns: Mapping[str, FloatArray]
    rows: GradientStore | None = None
    directions: npt.NDArray[np.float32] | None = None


@dataclass
class Measuring:
    """One scoring of a pool with the current policy. ``keep_rows`` also without a projector."""

    recipe: Recipe
    context: SelectionContext
    folder: Path
    keep_rows: bool = False
    normalise_validation: bool = False

    @property
    def exact(self) -> bool:
        return isinstance(self.recipe.projector, NoProjection) and not self.keep_rows

    def validation(self, sets: Mapping[str, Sequence[Group]]) -> dict[str, Candidates]:
        """The sets that have a gradient; a set without one is named in a warning.

        Raises CropiError when none has.
        """
        found = {}
        for name, groups in sets.items():
            by_id = {group.prompt_id: group for group in groups}
            candidates = Candidates.of(list(by_id), by_id)
            if candidates.ready:
                found[name] = candidates
                log.info("validation/%s: %s have a gradient", name, candidates)
            else:
                log.warning("validation/%s guides nothing: %s have a gradient", name, candidates)
        if not found:
            raise CropiError(
                "no validation prompt has a gradient: the policy solves all or none of each; "
                "raise offline.validation_samples, or use another validation set"
            )
        return found

    def precondition(
        self, kind: Precondition, damping: float, sets: Mapping[str, Candidates]
    ) -> None:
        """From here on every gradient is divided by √v. ``adam`` before its first step, or after
        steps without any gradient, is as ``validation_diag``.

        Raises CropiError when those are all zero too.
        """
        if kind == "none":
            return
        moments = self.context.second_moment() if kind == "adam" else None
        if moments is None or not any(bool(v.any()) for v in moments.values()):
            log.info("preconditioning by the validation gradients' mean square")
            moments = self._mean_square(sets)
        device = self.context.policy.device
        scale = {n: v.to(device) for n, v in scale_of(moments, damping).items()}
        self.recipe = replace(self.recipe, scale=scale)

    def against(self, candidates: Candidates, sets: Mapping[str, Candidates]) -> Influences:
        """The candidates' gradients against each set's mean.

        Raises CropiError when none of a set's gradients is finite.
        """
        if self.exact:
            return self._exactly(candidates, sets)
        projection = self.recipe.projection(self.context.policy)
        means = []
        for name, members in sets.items():
            rows = self._rows(f"validation/{name}", members, projection)
            _check_direction(name, rows.column("finite"))
            means.append(mean_row(rows, normalised=self.normalise_validation))
        directions = np.stack(means)
        rows = self._rows("train", candidates, projection)
        dots, norms = dots_and_norms(rows, directions)
        lengths = np.linalg.norm(directions.astype(np.float64), axis=1)
        columns = {name: rows.column(name) for name in COLUMNS}
        return Influences(dots, norms, lengths, columns, rows, directions)

    def rows_of(self, candidates: Candidates) -> GradientStore:
        """The candidates' projected gradients alone."""
        return self._rows("train", candidates, self.recipe.projection(self.context.policy))

    # ── private ──────────────────────────────────────────────────────────────────────────────

    def _rows(self, name: str, candidates: Candidates, projection: Projection) -> GradientStore:
        """The candidates' rows, computed where the store lacks them."""
        place = Place(
            self.folder / name,
            self._identity(candidates, projection),
            len(candidates.ready),
            projection.dimension,
        )
        self._check_space(place)
        with self.context.stage(f"gradients of {name}", len(candidates.ready)) as advance:
            filled = fill(
                place,
                candidates.ready,
                self.recipe,
                projection,
                self.context.policy,
                workers=self.context.workers,
                source=self.context.source,
                advance=advance,
            )
        self._charge(filled.store.column, filled.earlier_seconds)
        return filled.store

    def _exactly(self, candidates: Candidates, sets: Mapping[str, Candidates]) -> Influences:
        directions = torch.stack([self._mean(name, members) for name, members in sets.items()])
        recipe, self.recipe = self.recipe, replace(self.recipe, directions=directions)
        try:
            rows = self._rows("train", candidates, self.recipe.projection(self.context.policy))
        finally:
            self.recipe = recipe
        values = np.concatenate([block for _, _, block in rows.blocks(BLOCK_BYTES)]).astype(float)
        lengths = directions.double().norm(dim=1).cpu().numpy()
        columns = {name: rows.column(name) for name in COLUMNS}
        return Influences(values[:, :-1], np.sqrt(values[:, -1]), lengths, columns)

    def _mean(self, name: str, members: Candidates) -> torch.Tensor:
        """A set's mean full gradient [P]; read back where an earlier start has computed it."""
        projection = self.recipe.projection(self.context.policy)
        identity = {
            **self._identity(members, projection), "normalised": self.normalise_validation,
        }
        path = self.folder / f"mean-{name}.safetensors"
        text = json.dumps(identity, sort_keys=True)
        device = self.context.policy.device
        if path.exists():
            with safe_open(path, "pt") as stored:
                if (stored.metadata() or {}).get("identity") == text:
                    self._charge(lambda column: stored.get_tensor(column).numpy(), None)
                    return stored.get_tensor("mean").to(device)
        with self.context.stage(f"gradients of validation/{name}", len(members.ready)) as advance:
            mean, columns = mean_direction(
                members.ready,
                self.recipe,
                projection,
                self.context.policy,
                normalised=self.normalise_validation,
                advance=advance,
            )
        _check_direction(name, columns["finite"])
        self._charge(lambda column: columns[column], 0.0)
        tensors = {"mean": mean.cpu(), **{n: torch.from_numpy(c) for n, c in columns.items()}}
        write_atomically(path, lambda part: save_file(tensors, part, {"identity": text}))
        return mean

    def _mean_square(self, sets: Mapping[str, Candidates]) -> dict[str, torch.Tensor]:
        """Of the full gradients of all sets' prompts; computed anew by a later start."""
        full = replace(self.recipe, projector=NoProjection())
        policy = self.context.policy
        ready = [group for members in sets.values() for group in members.ready]
        columns: dict[str, list[float]] = {"forward_tokens": [], "backward_tokens": []}
        with self.context.stage("mean square of validation gradients", len(ready)) as advance:
            moments = mean_square(
                one_by_one(ready, full, full.projection(policy), policy, columns, advance), policy
            )
        self._charge(lambda name: np.array(columns.get(name, [0.0])), 0.0)
        return moments

    def _identity(self, candidates: Candidates, projection: Projection) -> dict[str, Any]:
        return {
            "projection": dict(projection.fingerprint),
            "policy": self._policy,
            "groups": candidates.digest(),
            "estimator": asdict(self.recipe.estimator),
            "engine": {"kind": type(self.recipe.engine).__name__, **asdict(self.recipe.engine)},
        }

    @cached_property
    def _policy(self) -> str:
        """Read from the weights once: they stay while a pool is scored."""
        return self.context.policy.fingerprint()

    def _charge(
        self, column: Callable[[str], FloatArray], earlier_seconds: float | None
    ) -> None:
        """Tokens of all rows, and the seconds that an earlier start spent (all when None)."""
        seconds = float(column("seconds").sum()) if earlier_seconds is None else earlier_seconds
        self.context.spend(Cost.of(
            "selection",
            seconds=seconds,
            forward_tokens=float(column("forward_tokens").sum()),
            backward_tokens=float(column("backward_tokens").sum()),
        ))

    def _check_space(self, place: Place) -> None:
        needed = place.rows * place.dimension * 4
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if not place.folder.exists() and needed > free:
            raise CropiError(
                f"{place.rows:,} gradients of {place.dimension:,} numbers need "
                f"{needed / 1e9:.1f} GB in {self.folder}, where {free / 1e9:.1f} GB are free; "
                f"choose a smaller projector.k; a selector that only compares with validation "
                f"sets (selector.inverse=null) keeps no rows under projector=none"
            )


def _check_direction(name: str, finite: FloatArray) -> None:
    if not finite.any():
        raise CropiError(
            f"none of the {len(finite)} gradients of validation/{name} is finite: the policy has "
            f"moved too far from the stored trajectories (set selector.estimator.ratio_cap, or "
            f"roll out anew with selector.fresh_validation=true), or its weights are broken"
        )
