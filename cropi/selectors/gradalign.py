"""GradAlign (arXiv 2602.21492): CROPI's question asked of fresh trajectories, all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from cropi.contracts import Requirement, SelectionContext, Share
from cropi.runtime.parts import part
from cropi.selectors.aligned import AlignedSelector
from cropi.selectors.freshness import drawn_share, fresh_groups, fresh_validation
from cropi.types import Group, Prompt


@part
class GradAlign(AlignedSelector):
    """On-policy alignment: every phase rolls out the pool and the validation sets anew.

    ``pool_share`` of the pool, by lot, is rolled out and scored in a phase (its release scores a
    chunk of 5,120 at a time); the others are undefined then. Nothing is drawn offline.
    """

    requires: ClassVar[frozenset[Requirement]] = frozenset({"validation_prompts"})

    pool_share: Share = 1.0

    def sources(
        self, pool: Sequence[Prompt], context: SelectionContext
    ) -> tuple[Mapping[str, Group], Mapping[str, Sequence[Group]]]:
        chosen = drawn_share(pool, self.pool_share, context)
        return fresh_groups(context, "train", chosen), fresh_validation(context)
