"""Rates of what the verifier said, and the two numbers of a verdict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cropi.rollouts.offline import offline_metrics
from cropi.trainers.metrics import group_metrics
from cropi.types import Group, Trajectory, Verdict
from cropi.verdicts import verdict_rates


def group(verdicts: Sequence[Verdict | None], name: str = "p") -> Group:
    return Group(name, np.zeros(1, np.int32), tuple(
        Trajectory(np.zeros(1, np.int32), np.zeros(1, np.float32), "stop", "", verdict)
        for verdict in verdicts
    ))


RIGHT = Verdict(1.5, "ok", "x", "1", parts={"correctness": 1.0, "format": 1.0})
FORMED = Verdict(0.5, "ok", "x", "2", parts={"correctness": 0.0, "format": 1.0})
LATE = Verdict(0.0, "timeout", "x", "3", parts={"correctness": 0.0, "format": 0.0})
UNUSABLE = Verdict(None, "bad_gold", "none")


def test_correctness_is_the_part_of_that_name_or_the_reward() -> None:
    found = group([RIGHT, FORMED, UNUSABLE, Verdict(0.25, "ok", "x"), None])
    nan = np.nan
    assert found.rewards.tolist() == pytest.approx([1.5, 0.5, nan, 0.25, nan], nan_ok=True)
    assert found.correctness.tolist() == pytest.approx([1.0, 0.0, nan, 0.25, nan], nan_ok=True)
    assert found.correctness.dtype == np.float64
    # An advantage comes from the reward: both are wrong, and one is better formed.
    assert group([FORMED, LATE]).is_informative


def test_every_status_has_its_rate_and_every_part_its_mean() -> None:
    rates = verdict_rates([group([RIGHT, FORMED]), group([LATE, UNUSABLE])])
    assert rates == {
        "verdict/ok": 0.5, "verdict/no_answer": 0.0, "verdict/unparsed": 0.0,
        "verdict/timeout": 0.25, "verdict/oversize": 0.0, "verdict/bad_gold": 0.25,
        "verdict/crashed": 0.0, "verdict/part/correctness": pytest.approx(1 / 3),
        "verdict/part/format": pytest.approx(2 / 3),
    }
    plain = verdict_rates([group([Verdict(1.0, "ok", "x")])])
    assert not [name for name in plain if name.startswith("verdict/part/")]
    assert verdict_rates([group([None])]) == verdict_rates([]) == {}


def test_training_and_offline_metrics_tell_them() -> None:
    groups = [group([RIGHT, FORMED], "p"), group([LATE, UNUSABLE], "q")]
    rates = verdict_rates(groups)
    trained = group_metrics(groups)
    assert trained["reward"] == pytest.approx(2 / 3)
    assert {name: trained[name] for name in rates} == rates
    offline = offline_metrics({g.prompt_id: g for g in groups})
    assert offline["rollouts/pass_rate"] == pytest.approx(1 / 3)
    assert {name: offline[f"rollouts/{name}"] for name in rates} == rates
