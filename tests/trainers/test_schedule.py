"""The learning rate at a step, against transformers' schedules."""

from __future__ import annotations

import pytest
import torch

from cropi.trainers.schedule import learning_rate_at


def rates(schedule: str, warmup: int, total: int) -> list[float]:
    return [
        learning_rate_at(
            step, peak=2.0, warmup_steps=warmup, total_steps=total, schedule=schedule
        )
        for step in range(1, total + 1)
    ]


def test_pinned_numbers() -> None:
    assert rates("constant", 0, 3) == [2, 2, 2]
    assert rates("constant", 4, 6) == [0.5, 1, 1.5, 2, 2, 2]
    assert rates("linear", 1, 5) == [2, 2, 1.5, 1, 0.5]
    assert rates("cosine", 0, 4) == pytest.approx([2, 1 + 0.5**0.5, 1, 1 - 0.5**0.5])


@pytest.mark.parametrize("schedule", ["constant_with_warmup", "linear", "cosine"])
def test_after_the_warm_up_it_is_the_usual_schedule(schedule: str) -> None:
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    theirs = get_scheduler(schedule, optimizer, num_warmup_steps=3, num_training_steps=20)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates(schedule.removesuffix("_with_warmup"), 3, 20)[3:] == pytest.approx(expected[3:])


def test_every_step_moves() -> None:
    for schedule in ("constant", "linear", "cosine"):
        assert min(rates(schedule, 5, 9)) > 0
        # Past the end (a run that was made longer) it never rises again.
        assert learning_rate_at(
            99, peak=1.0, warmup_steps=0, total_steps=9, schedule=schedule
        ) <= 1.0
