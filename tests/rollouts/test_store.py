"""The rollout store: exact round trip, resume by shard, damage, readability by anyone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from cropi.contracts import Sampling
from cropi.rollouts.sharding import roll_out
from cropi.rollouts.store import RolloutStore, read_shard, write_shard
from cropi.runtime.errors import DataError
from cropi.runtime.files import read_json, write_json
from cropi.types import Cost, Group, Prompt, Trajectory, Verdict


def group(name: str, rewards: Sequence[float | None], temperature: float = 1.0) -> Group:
    random = np.random.default_rng(len(name))
    return Group(name, np.array([5, 6, 7], np.int32), tuple(
        Trajectory(
            token_ids=random.integers(3, 9, size=i + 1).astype(np.int32),
            log_probs=random.normal(size=i + 1).astype(np.float32),
            finish="stop" if i % 2 else "length",
            text=f"text \x00 {i} é",
            verdict=None if reward == -1 else Verdict(reward, "ok", "numeric", str(i)),
        )
        for i, reward in enumerate(rewards)
    ), temperature)


def same(one: Group, other: Group) -> bool:
    return (
        one.prompt_id == other.prompt_id
        and one.temperature == other.temperature
        and one.prompt_token_ids.tolist() == other.prompt_token_ids.tolist()
        and all(
            a.token_ids.tolist() == b.token_ids.tolist()
            and a.log_probs.tobytes() == b.log_probs.tobytes()
            and (a.finish, a.text, a.verdict) == (b.finish, b.text, b.verdict)
            for a, b in zip(one.trajectories, other.trajectories, strict=True)
        )
    )


def test_groups_come_back_bit_for_bit(tmp_path: Path) -> None:
    groups = [
        group("a", [1.0, 0.0, None], 0.7), group("bb", [-1]), group("ccc", [0.5, 0.5], 0.0)
    ]
    store = RolloutStore(tmp_path, {"policy": "x"})
    store.write(0, groups[:2], Cost.of("offline_rollout", seconds=1.5))
    store.write(1, groups[2:], Cost.of("offline_rollout", seconds=2.0, graded=2))
    again = RolloutStore(tmp_path, {"policy": "x"})
    assert all(same(a, b) for a, b in zip(groups, again.groups(), strict=True))
    assert again.cost.amounts == {"offline_rollout": {"seconds": 3.5, "graded": 2}}
    assert not list(tmp_path.glob("*.part"))


def composed(reward: float | None, **parts: float) -> Group:
    verdict = Verdict(reward, "ok", "numeric", "1", parts=parts)
    trajectory = Trajectory(np.ones(1, np.int32), np.zeros(1, np.float32), "stop", "1", verdict)
    return Group("p", np.ones(1, np.int32), (trajectory,))


def test_the_parts_of_a_reward_are_kept(tmp_path: Path) -> None:
    groups = [composed(1.1, correctness=1.0, format=1.0), composed(1.0)]
    write_shard(tmp_path / "shard", groups)
    assert all(same(a, b) for a, b in zip(groups, read_shard(tmp_path / "shard"), strict=True))
    table = pq.read_table(tmp_path / "shard")
    assert table["parts"].to_pylist() == ['{"correctness": 1.0, "format": 1.0}', None]


def test_shards_of_before_there_were_parts_are_read(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard", [composed(1.0)])
    old = pq.read_table(tmp_path / "shard").drop_columns("parts")
    pq.write_table(old, tmp_path / "old")
    assert same(read_shard(tmp_path / "old")[0], composed(1.0))


def test_anyone_can_read_a_shard_with_pyarrow(tmp_path: Path) -> None:
    RolloutStore(tmp_path, {}).write(0, [group("a", [1.0, None])], Cost())
    table = pq.read_table(tmp_path / "part-00000.parquet")
    assert table["reward"].to_pylist() == [1.0, None]
    assert table["token_ids"].to_pylist()[1] == [
        int(t) for t in group("a", [1.0, None]).trajectories[1].token_ids
    ]


def test_another_identity_is_refused_with_the_difference(tmp_path: Path) -> None:
    RolloutStore(tmp_path, {"policy": "x", "samples": 8}).write(0, [group("a", [1.0])], Cost())
    with pytest.raises(DataError, match="samples was 8, is 4"):
        RolloutStore(tmp_path, {"policy": "x", "samples": 4})


def test_a_store_without_temperatures_is_refused_in_plain_words(tmp_path: Path) -> None:
    RolloutStore(tmp_path, {"policy": "x"}).write(0, [group("a", [1.0])], Cost())
    write_json(tmp_path / "index.json", read_json(tmp_path / "index.json") | {"schema_version": 1})
    with pytest.raises(DataError, match=r"schema version 1, this cropi reads 2; move .* away"):
        RolloutStore(tmp_path, {"policy": "x"})


class Draws:
    """Stands in for generator and verifier; can be stopped in the middle."""

    def __init__(self, stop_after: int = 99) -> None:
        self.calls: list[list[str]] = []
        self.streams: set[Any] = set()
        self.stop_after = stop_after

    def __call__(self, policy: Any, prompts: Sequence[Prompt], **kwargs: Any) -> list[Group]:
        if len(self.calls) == self.stop_after:
            raise KeyboardInterrupt
        self.calls.append([p.id for p in prompts])
        self.streams.add(kwargs["stream"])
        return [group(p.id, [1.0] * kwargs["samples"]) for p in prompts]


def draw(folder: Path, draws: Draws, prompts: Sequence[Prompt]) -> dict[str, Group]:
    return roll_out(
        None, prompts, samples=2, sampling=Sampling(), shard_prompts=2, rollouts=draws,  # type: ignore[arg-type]
        stream=("fresh", 3), purpose="selection", store=RolloutStore(folder, {"policy": "x"}),
    )


@pytest.fixture
def prompts() -> list[Prompt]:
    return [Prompt.create(f"q{i}", ["1"], source="t") for i in range(5)]


def test_a_stopped_rollout_draws_only_the_missing_shards(
    tmp_path: Path, prompts: list[Prompt]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path, Draws(stop_after=2), prompts)
    rest = Draws()
    groups = draw(tmp_path, rest, prompts)
    assert rest.calls == [[prompts[4].id]]
    assert rest.streams == {("fresh", 3)}
    assert list(groups) == [p.id for p in prompts]
    amounts = RolloutStore(tmp_path, {"policy": "x"}).cost.amounts
    assert list(amounts) == ["selection"]
    assert amounts["selection"]["graded"] == 10


def test_a_damaged_shard_is_drawn_again_and_the_half_written_one_ignored(
    tmp_path: Path, prompts: list[Prompt]
) -> None:
    draw(tmp_path, Draws(), prompts)
    (tmp_path / "part-00001.parquet").write_bytes(b"not parquet")
    (tmp_path / "part-00002.parquet.part").write_bytes(b"half")
    again = Draws()
    assert list(draw(tmp_path, again, prompts)) == [p.id for p in prompts]
    assert again.calls == [[prompts[2].id, prompts[3].id]]
