"""Scoring a pool by its gradients' alignment with validation sets: CROPI's way, and its options."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from cropi.contracts import PositiveInt, SelectionContext
from cropi.influence.averaging import mixed_probability, running_average, standardised, weighed
from cropi.influence.candidates import Candidates
from cropi.influence.directional import Directional
from cropi.influence.fusion import Fusion, fuse, ranks
from cropi.influence.inverse import inverse_scores
from cropi.influence.measuring import Influences
from cropi.influence.rulers import Metric, compared
from cropi.projectors.none import NoProjection
from cropi.runtime.parts import part
from cropi.selectors.influence import InfluenceSelector
from cropi.selectors.ranking import budget_of, take_top
from cropi.types import BoolArray, FloatArray, Group, Prompt, Scores, Selection

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


@part
class AlignedSelector(InfluenceSelector):
    """Gradient, score, fuse, keep the best (arXiv 2510.26491); the defaults are the paper's.

    ``metric`` compares a prompt's gradient with each validation set's mean gradient. ``inverse`` μ
    explains away what the other candidates share: s = (U Uᵀ + μI)⁻¹ a, unit rows U, cosines a.
    ``average`` is the weight of the standardised scores of earlier phases. ``mixed_group`` G
    counts positive scores times the chance that G new trajectories have differing rewards. Then
    the sets' scores are fused, by rank or value. Where the groups come from is the subclass's.
    """

    metric: Metric = "cosine"
    inverse: Annotated[float, Field(gt=0.0)] | None = None
    inverse_memory_mb: PositiveInt = 512
    normalise_validation: bool = False
    fusion: Fusion = "rrf"
    rrf_constant: Annotated[float, Field(ge=0.0)] = 0.0
    rrf_within_budget: bool = True
    average: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    mixed_group: Annotated[int, Field(ge=2)] | None = None
    mixed_shrink: Probability = 0.2

    def __post_init__(self) -> None:
        if self.inverse is not None and self.metric != "cosine":
            raise ValueError("inverse starts from cosines: set metric=cosine, or inverse=null")
        if isinstance(self.engine, Directional):
            wrong = [
                text
                for text, is_wrong in {
                    "selector.metric=dot": self.metric != "dot",
                    "selector.inverse=null": self.inverse is not None,
                    "selector.precondition=none": self.precondition != "none",
                    "projector=none": not isinstance(self.projector, NoProjection),
                }.items()
                if is_wrong
            ]
            if wrong:
                raise ValueError(
                    f"engine=directional gives inner products only; set {', '.join(wrong)}"
                )

    # ── score ────────────────────────────────────────────────────────────────────────────────

    def score(self, pool: Sequence[Prompt], context: SelectionContext) -> Scores:
        groups, validation = self.sources(pool, context)
        candidates = self.candidates(pool, groups)
        with self.measuring(
            context,
            keep_rows=self.inverse is not None,
            normalise_validation=self.normalise_validation,
        ) as measuring:
            sets = measuring.validation(validation)
            measuring.precondition(self.precondition, self.damping, sets)
            found = measuring.against(candidates, sets)
            values, valid, metrics = self.compare(found)
        return self.scores(pool, context, candidates, list(sets), found, values, valid, metrics)

    @abstractmethod
    def sources(
        self, pool: Sequence[Prompt], context: SelectionContext
    ) -> tuple[Mapping[str, Group], Mapping[str, Sequence[Group]]]:
        """The groups to score by prompt id, and those of each validation set."""

    def compare(self, found: Influences) -> tuple[FloatArray, BoolArray, dict[str, float]]:
        """values [n, M] a validation set, valid [n], and what to log."""
        valid = found.columns["finite"] > 0
        if isinstance(self.engine, Directional):
            return found.dots, valid, {}
        valid &= found.norms > 0
        values = compared(found.dots, found.norms, found.lengths, self.metric)
        if self.inverse is None:
            return values, valid, {}
        assert found.rows is not None
        solved = inverse_scores(  # of cosines: no other metric goes with an inverse
            found.rows, valid, values, mu=self.inverse, memory_mb=self.inverse_memory_mb
        )
        return solved.values, valid, {
            "inverse/iterations": solved.iterations, "inverse/residual": solved.residual,
        }

    def scores(
        self,
        pool: Sequence[Prompt],
        context: SelectionContext,
        candidates: Candidates,
        sets: list[str],
        found: Influences,
        values: FloatArray,
        valid: BoolArray,
        metrics: dict[str, float],
    ) -> Scores:
        """Average over phases, weigh by the chance of a mixed group, fuse."""
        ids = [group.prompt_id for group in candidates.ready]
        components = {f"influence/{name}": values[:, m] for m, name in enumerate(sets)}
        averages: dict[str, FloatArray] = {}
        if self.average > 0:
            # Over the whole pool: a prompt that has no gradient now keeps its past for later.
            now = np.full((len(pool), len(sets)), np.nan)
            now[candidates.places] = standardised(values, valid)
            mean = running_average(self._before(context, sets, pool), now, self.average)
            averages = {f"average/{name}": mean[:, m] for m, name in enumerate(sets)}
            values = mean[candidates.places]
        if self.mixed_group is not None:
            chance = mixed_probability(
                found.columns["pass_rate"], valid, self.mixed_group, self.mixed_shrink
            )
            values = weighed(values, chance)
            components["mixed_chance"] = chance
        budget = budget_of(self.alpha, len(pool))
        fused = fuse(
            values, valid, ids, self.fusion,
            constant=self.rrf_constant, top=budget if self.rrf_within_budget else None,
        )  # fmt: skip
        places = ranks(values, valid, ids)
        components |= {f"rank/{name}": places[:, m] for m, name in enumerate(sets)}
        components["norm"] = found.norms
        components |= {
            name: found.columns[name] for name in ("log_ratio", "ess", "pass_rate")
        }
        offline = [float(group.correctness.mean()) for group in candidates.ready]
        components["pass_rate_stored"] = np.array(offline)
        of_pool, is_valid = candidates.masked(fused, valid)
        return Scores(
            ids=tuple(prompt.id for prompt in pool),
            values=of_pool,
            valid=is_valid,
            components={
                **{name: candidates.spread(column) for name, column in components.items()},
                **averages,
            },
            metrics={**candidates.metrics(), **_drift_metrics(found), **metrics},
        )

    def _before(
        self, context: SelectionContext, sets: list[str], pool: Sequence[Prompt]
    ) -> FloatArray | None:
        """[N, M] averages of the phase before, NaN for a prompt that had none."""
        previous = context.previous()
        if previous is None:
            return None
        place = {prompt_id: i for i, prompt_id in enumerate(previous.ids)}
        order = [place.get(prompt.id, -1) for prompt in pool]
        columns = []
        for name in sets:
            column = previous.components.get(f"average/{name}")
            if column is None:  # the set guided nothing then
                column = np.full(len(previous.ids), np.nan)
            columns.append(np.append(column, np.nan)[order])
        return np.stack(columns, axis=1)

    # ── select ───────────────────────────────────────────────────────────────────────────────

    def select(self, scores: Scores, budget: int) -> Selection:
        sets = [n.removeprefix("rank/") for n in scores.components if n.startswith("rank/")]

        def reason(i: int) -> str:
            each = [
                f"{name} {scores.components[f'influence/{name}'][i]:.4g} "
                f"(#{scores.components[f'rank/{name}'][i]:.0f})"
                for name in sets
            ]
            return (
                f"{', '.join(each)}; pass rate {scores.components['pass_rate_stored'][i]:.2f} "
                f"stored, {scores.components['pass_rate'][i]:.2f} now"
            )

        return take_top(
            scores, budget, reason,
            empty="no prompt has a finite gradient; see the log for what was left out and why",
        )  # fmt: skip


def _drift_metrics(found: Influences) -> dict[str, float]:
    """Means over the candidates whose gradient is finite: how far the policy has moved from β."""
    names = {"log_ratio": "drift/log_ratio", "ess": "drift/ess", "high": "drift/ratio_above_1.5",
             "low": "drift/ratio_below_0.1"}  # fmt: skip
    finite = found.columns["finite"] > 0
    drift = {
        label: float(np.mean(found.columns[name][finite])) for name, label in names.items()
    } if finite.any() else {}
    return {
        **drift,
        "scored": float(np.count_nonzero(finite)),
        "seconds_per_prompt": float(np.mean(found.columns["seconds"])),
    }
