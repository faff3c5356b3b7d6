"""The groups that training drew, one file a step, for selectors that ask for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from cropi.rollouts.store import read_shard, write_shard
from cropi.types import Group


@dataclass(frozen=True)
class TrainingGroups:
    """``<phases>/001/training/step-000012.parquet``, in the format of a rollout shard.

    A file is read by the number of its step, so what a killed run left behind of later steps is
    never seen, and written over when the step is done again.
    """

    phases: Path
    steps_per_phase: int

    def write(self, step: int, groups: Sequence[Group]) -> None:
        write_shard(self._file(step), groups)

    def latest(self, selected: Sequence[Collection[str]]) -> dict[str, Group]:
        """The last group of each prompt by id; ``selected`` are the ids of each phase so far.

        Reads from the newest step backwards, in each phase no further than to the last of its
        prompts. Raises DataError when a file is gone or damaged.
        """
        found: dict[str, Group] = {}
        for phase in reversed(range(len(selected))):
            missing = set(selected[phase]) - found.keys()
            first, last = phase * self.steps_per_phase + 1, (phase + 1) * self.steps_per_phase
            for step in range(last, first - 1, -1):
                if not missing:
                    break
                for group in reversed(read_shard(self._file(step))):
                    found.setdefault(group.prompt_id, group)
                missing -= found.keys()
        return found

    def _file(self, step: int) -> Path:
        phase = (step - 1) // self.steps_per_phase
        return self.phases / f"{phase:03d}" / "training" / f"step-{step:06d}.parquet"
