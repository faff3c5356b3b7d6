"""GradAlign: everything it scores is drawn anew, and a part of the pool only where asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from influence_cases import random_group
from influence_pools import (
    DEAD,
    GROUPS,
    KNOWN,
    POOL,
    PROMPTS,
    SETS,
    Draws,
    context,
    cropi,
    named,
)

from cropi.influence.fast import Fast
from cropi.projectors.none import NoProjection
from cropi.projectors.sparse import Sparse
from cropi.runtime.errors import CropiError
from cropi.selectors.gradalign import GradAlign
from cropi.types import Scores


def gradalign(**options: Any) -> GradAlign:
    options = {"projector": NoProjection(), "engine": Fast(), "alpha": 0.5, **options}
    return GradAlign(**options)


def scored(draws: Draws, selector: GradAlign, phase: int = 0, **more: Any) -> Scores:
    stored = {p.id: named(random_group(99), p.id) for p in POOL}  # must not be looked at
    given = {"fresh": draws, "validation_prompts": PROMPTS, **more}
    pool = given.pop("pool", POOL)
    return selector.score(
        pool, context(stored, {"A": [random_group(98)]}, phase=phase, **given)
    )


@pytest.mark.parametrize("projector", [NoProjection(), Sparse(keep=0.8, k=4096)])
def test_it_is_cropi_on_fresh_groups_in_every_phase(projector: Any) -> None:
    expected = cropi(projector=projector).score(POOL, context(GROUPS, SETS))
    for phase in (0, 1):
        draws = Draws()
        scores = scored(draws, gradalign(projector=projector), phase)
        np.testing.assert_array_equal(scores.values, expected.values)
        assert draws.asked == [
            ("train", tuple(p.id for p in POOL)),
            *((f"validation/{name}", tuple(p.id for p in own)) for name, own in PROMPTS.items()),
        ]
    assert gradalign().needs() == {"validation_prompts"}, "nothing is drawn offline"


def test_a_part_of_the_pool_leaves_the_rest_undefined() -> None:
    draws = Draws()
    selector = gradalign(pool_share=0.375, alpha=1.0)
    scores = scored(draws, selector)
    ((_, drawn), *_) = draws.asked
    assert len(drawn) == 3
    assert {scores.ids[i] for i in np.flatnonzero(scores.valid)} == set(drawn)
    assert set(selector.select(scores, 8).ids) == set(drawn)
    assert np.isfinite(scores.values).all()
    # No rollouts is why; the lot is another one in the next phase, not in another order.
    assert scores.metrics["masked_share/no_rollouts"] == 5 / 8
    other, again = Draws(), Draws()
    scored(other, selector, phase=1)
    assert set(other.asked[0][1]) != set(drawn)
    scored(again, selector, pool=POOL[::-1])
    assert again.asked[0][1] == drawn[::-1]


def test_any_share_of_any_pool_draws_somebody() -> None:
    draws = Draws()
    scores = scored(draws, gradalign(pool_share=0.01))
    assert scores.valid.sum() == len(draws.asked[0][1]) == 1


def test_averages_remember_those_that_were_not_drawn() -> None:
    selector = gradalign(pool_share=0.5, average=0.5)
    draws = Draws()
    first = scored(draws, selector)
    second = scored(draws, selector, phase=1, previous=lambda: first)
    drawn = [{*ids} for name, ids in draws.asked if name == "train"]
    only_first = [i for i, p in enumerate(POOL) if p.id in drawn[0] - drawn[1]]
    assert only_first
    np.testing.assert_array_equal(
        second.components["average/A"][only_first],
        0.5 * first.components["average/A"][only_first],
    )
    assert not second.valid[only_first].any()


def test_what_cannot_be_drawn_and_what_has_no_signal_is_said() -> None:
    with pytest.raises(CropiError, match="nothing to draw"):
        scored(Draws(), gradalign(), fresh=None)
    dead = Draws({prompt_id: named(DEAD, prompt_id) for prompt_id in KNOWN})
    with pytest.raises(CropiError, match=r"no prompt has a gradient: .*8 equal rewards"):
        scored(dead, gradalign())
    unguided = Draws({**KNOWN, **{g.prompt_id: named(DEAD, g.prompt_id) for g in SETS["B"]}})
    scores = scored(unguided, gradalign())
    assert "influence/A" in scores.components
    assert "influence/B" not in scores.components
