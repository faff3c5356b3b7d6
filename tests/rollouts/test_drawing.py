"""Drawing graded groups: order, streams, duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cropi.contracts import Generator, Request, Sampling, Verifier
from cropi.rollouts.drawing import Drawing, tokens_generated
from cropi.runtime.errors import CropiError
from cropi.types import Prompt, Trajectory, Verdict


class Echo(Generator):
    """Returns each request's seed as its only token's text."""

    def generate(
        self, policy: Any, requests: Sequence[Request], sampling: Sampling
    ) -> list[Trajectory]:
        return [
            Trajectory(np.array([1, 2], np.int32), np.zeros(2, np.float32), "stop", str(r.seed))
            for r in requests
        ]


class SameQuestion(Verifier):
    """Pays when it is asked about the prompt ``q1``."""

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        return Verdict(float(prompt.question == "q1"), "ok", "test", text)


class Speller:
    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        return (int(prompt.question[1:]),)


def draw(prompts: Sequence[Prompt], stream: tuple[str | int, ...] = ("training", 3)) -> list[Any]:
    drawing = Drawing(Echo(), SameQuestion(), seed=0)
    warm = Sampling(temperature=0.75)
    return drawing(Speller(), prompts, samples=3, sampling=warm, stream=stream)  # type: ignore[arg-type]


def texts(group: Any) -> list[str]:
    return [t.text for t in group.trajectories]


PROMPTS = [Prompt.create(f"q{i}", ["1"], source="t") for i in range(3)]


def test_groups_keep_the_order_and_each_its_own_verdict() -> None:
    groups = draw(PROMPTS)
    assert [g.prompt_id for g in groups] == [p.id for p in PROMPTS]
    assert [g.prompt_token_ids.tolist() for g in groups] == [[0], [1], [2]]
    assert {g.temperature for g in groups} == {0.75}  # an odd one, to see that it is copied
    assert [g.rewards.tolist() for g in groups] == [[0.0] * 3, [1.0] * 3, [0.0] * 3]
    assert tokens_generated(groups) == 18


def test_streams_depend_on_the_name_and_the_prompt_only() -> None:
    groups, backwards = draw(PROMPTS), draw(PROMPTS[::-1])
    assert [texts(g) for g in groups] == [texts(g) for g in backwards[::-1]]
    assert texts(draw(PROMPTS)[0]) != texts(draw(PROMPTS, ("training", 4))[0])
    assert len({t for g in groups for t in texts(g)}) == 9


def test_a_prompt_named_twice_gives_two_different_groups() -> None:
    # Pitfall 13: grouping by prompt text merges them.
    one, two = draw([PROMPTS[0], PROMPTS[0]])
    assert one.prompt_id == two.prompt_id
    assert not set(texts(one)) & set(texts(two))


class OneForAll(SameQuestion):
    """A reward function that answers once for the whole batch."""

    def verify_all(self, items: Sequence[tuple[str, Prompt]]) -> list[Verdict]:
        return [self.verify(*items[0])]


def test_a_verdict_is_never_spread_over_several_completions() -> None:
    # verifier.md number 7: trl#6533, where one value was broadcast.
    drawing = Drawing(Echo(), OneForAll(), seed=0)
    with pytest.raises(CropiError, match=r"OneForAll gave 1 verdicts on 9 completions; verify_all"):
        drawing(Speller(), PROMPTS, samples=3, sampling=Sampling(), stream=("x",))  # type: ignore[arg-type]
