from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cropi.evaluation.outcomes import Outcomes, read_outcomes, write_outcomes
from cropi.types import Group, Trajectory, Verdict


def group(prompt_id: str, *samples: tuple[float | None, str | None, str, int]) -> Group:
    """A group from (reward, extracted answer, finish, tokens) of each sample."""
    return Group(prompt_id, np.zeros(2, np.int32), tuple(
        Trajectory(
            token_ids=np.zeros(tokens, np.int32), log_probs=np.zeros(tokens, np.float32),
            finish=finish,  # type: ignore[arg-type]
            text=f"text of {prompt_id}",
            verdict=Verdict(reward, "ok" if reward is not None else "bad_gold", "test", answer),
        )
        for reward, answer, finish, tokens in samples
    ))


GROUPS = [
    group("p", (1.0, "4", "stop", 2), (0.0, None, "length", 8)),
    group("q", (1.0, "5", "stop", 4), (1.0, "5", "stop", 4)),
    group("r", (0.0, "6", "stop", 4), (0.0, "7", "stop", 6)),
]


def test_metrics_by_hand() -> None:
    metrics = Outcomes.of(GROUPS).metrics(pass_at=[1, 2])
    assert metrics == {
        "unscorable": 0.0,
        "truncated_rate": pytest.approx(1 / 6),
        "mean_length": pytest.approx(28 / 6),
        "avg@2": pytest.approx(0.5),  # items 0.5, 1, 0
        "format_rate": pytest.approx(5 / 6),
        "standard_error": pytest.approx(0.5 / np.sqrt(3)),
        "pass@1": pytest.approx(0.5),
        "pass@2": pytest.approx(2 / 3),
    }


def test_unscorable_samples_are_counted_and_left_out() -> None:
    bad = group("bad", (None, None, "stop", 4), (None, None, "stop", 4))
    half = group("half", (None, None, "stop", 4), (1.0, "1", "stop", 4))
    metrics = Outcomes.of([*GROUPS, bad, half]).metrics(pass_at=[2])
    assert metrics["unscorable"] == 3.0
    assert metrics["avg@2"] == pytest.approx((0.5 + 1 + 0 + 1) / 4)
    assert metrics["pass@2"] == pytest.approx(2 / 3)  # "half" has one sample: no pass@2
    assert metrics["format_rate"] == pytest.approx(6 / 7)


def test_nothing_scorable_gives_no_accuracy() -> None:
    metrics = Outcomes.of([group("bad", (None, None, "stop", 4))]).metrics(pass_at=[1])
    assert metrics == {"unscorable": 1.0, "truncated_rate": 0.0, "mean_length": 4.0}


def test_pass_at_more_than_was_drawn_is_absent() -> None:  # pitfall 35
    assert "pass@5" not in Outcomes.of(GROUPS).metrics(pass_at=[5])


def test_single_yes_or_no_samples_get_a_wilson_interval() -> None:
    ones = [group(str(i), (float(i < 3), "1", "stop", 1)) for i in range(10)]
    metrics = Outcomes.of(ones).metrics()
    assert metrics["wilson_low"] == pytest.approx(0.1077913, abs=1e-6)
    assert metrics["wilson_high"] == pytest.approx(0.6032219, abs=1e-6)
    assert "wilson_low" not in Outcomes.of(GROUPS).metrics()
    partial = [group("x", (0.3, "1", "stop", 1)), group("y", (1.0, "1", "stop", 1))]
    assert "wilson_low" not in Outcomes.of(partial).metrics()


@pytest.mark.parametrize("keep_text", [False, True])
def test_parquet_holds_one_row_a_sample_and_gives_the_same_metrics(
    tmp_path: Path, keep_text: bool
) -> None:
    groups = [*GROUPS, group("bad", (None, None, "stop", 4), (None, None, "stop", 4))]
    path = tmp_path / "set.parquet"
    write_outcomes(path, groups, keep_text=keep_text)
    table = pq.read_table(path)
    assert ("text" in table.column_names) is keep_text
    assert table.to_pylist()[1] | {"text": ""} == {
        "prompt_id": "p", "sample": 1, "reward": 0.0, "correctness": 0.0, "status": "ok",
        "extracted": None, "finish": "length", "length": 8, "text": "",
    }
    assert table["reward"].null_count == 2
    read = read_outcomes(path)
    assert read.metrics([1, 2]) == Outcomes.of(groups).metrics([1, 2])
    assert read.item_scores() == {"p": 0.5, "q": 1.0, "r": 0.0}
    assert [p.name for p in tmp_path.iterdir()] == ["set.parquet"]


def test_accuracy_counts_correctness_whatever_the_reward_is_made_of(tmp_path: Path) -> None:
    samples = [(1.1, 1.0), (0.1, 0.0), (0.0, 0.0), (1.0, 1.0)]  # a format reward of 0.1 in between
    composed = Group("p", np.zeros(2, np.int32), tuple(
        Trajectory(np.zeros(2, np.int32), np.zeros(2, np.float32), "stop", "text",
                   Verdict(reward, "ok", "test", "1", parts={"correctness": right}))
        for reward, right in samples
    ))
    metrics = Outcomes.of([composed]).metrics(pass_at=[1])
    assert (metrics["avg@4"], metrics["pass@1"]) == (0.5, 0.5)
    write_outcomes(tmp_path / "set.parquet", [composed], keep_text=False)
    assert read_outcomes(tmp_path / "set.parquet").metrics([1]) == metrics
    table = pq.read_table(tmp_path / "set.parquet")
    assert table["reward"].to_pylist() == [reward for reward, _ in samples]
    pq.write_table(table.drop_columns("correctness"), tmp_path / "old.parquet")
    assert read_outcomes(tmp_path / "old.parquet").correctness.tolist() == [[1.1, 0.1, 0.0, 1.0]]
