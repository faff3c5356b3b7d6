"""CROPI: the prompts whose off-policy gradient points where the validation sets' do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from cropi.contracts import Requirement, SelectionContext
from cropi.runtime.parts import part
from cropi.selectors.aligned import AlignedSelector, Probability
from cropi.selectors.freshness import (
    Reuse,
    drawn_share,
    fresh_groups,
    fresh_validation,
    with_training,
)
from cropi.types import Group, Prompt


@part
class Cropi(AlignedSelector):
    """Scores the trajectories that β drew once (arXiv 2510.26491), or fresher ones where asked.

    ``reuse`` takes the groups that training drew, each with its own β: instead of the stored
    trajectories (``latest``) or beside them (``merged``). ``refresh_share`` of the pool, by lot,
    is rolled out anew in each phase but the first, and the validation sets under
    ``fresh_validation``. ``refresh: once`` is the paper's static Influence baseline.
    """

    requires: ClassVar[frozenset[Requirement]] = frozenset({"rollouts", "validation"})

    reuse: Reuse = "none"
    refresh_share: Probability = 0.0
    fresh_validation: bool = False

    def needs(self) -> frozenset[Requirement]:
        more: set[Requirement] = set()
        if self.reuse != "none":
            more.add("training")
        if self.fresh_validation:
            more.add("validation_prompts")
        return self.requires | more

    def sources(
        self, pool: Sequence[Prompt], context: SelectionContext
    ) -> tuple[Mapping[str, Group], Mapping[str, Sequence[Group]]]:
        groups = with_training(context.rollouts, context.training, self.reuse)
        validation = context.validation
        if context.phase > 0:  # in the first phase β is the current policy
            if self.refresh_share > 0:
                chosen = drawn_share(pool, self.refresh_share, context)
                groups |= fresh_groups(context, "train", chosen)
            if self.fresh_validation:
                validation = fresh_validation(context)
        return groups, validation
