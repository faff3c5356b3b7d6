"""Generated tasks of reasoning-gym: endless, verifiable and free of data licences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from cropi.contracts import Dropped, PositiveInt, Source
from cropi.runtime.errors import DataError, did_you_mean
from cropi.runtime.parts import part
from cropi.types import Prompt


@part
class Gym(Source):
    """``size`` items of each task. Item i is made from seed + i, so sets need distant seeds.

    ``tasks`` maps a task's name to its generator's settings. A prompt's metadata holds
    ``gym_task`` and ``gym_entry``, the item as JSON, which is what the task's own scorer takes.
    Tasks with many right answers have no gold.
    """

    tasks: dict[str, dict[str, Any]]
    size: PositiveInt = 1000
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def name(self) -> str:
        return f"gym/{'+'.join(self.tasks) or 'none'}"

    def read(self) -> Iterator[Prompt | Dropped]:
        """Items in order, each question once. Raises DataError for a task or setting unknown."""
        if not self.tasks:
            raise DataError("a gym source names no task; set for example tasks={chain_sum: {}}")
        for task, config in self.tasks.items():
            items = self._items(task, config)
            asked: set[str] = set()
            for index in range(self.size):
                where = f"{task}, seed {self.seed + index}"
                # Metadata is JSON: what the scorer is given later is the item as it comes back.
                entry = json.loads(json.dumps(items[index], default=str))
                if entry["question"] in asked:
                    yield Dropped("duplicate", where)
                    continue
                asked.add(entry["question"])
                answer = entry["answer"]
                yield Prompt.create(
                    entry["question"],
                    [] if answer is None else [str(answer)],
                    source=f"gym/{task}",
                    family=task,
                    metadata={"gym_task": task, "gym_entry": entry},
                )

    def _items(self, task: str, config: dict[str, Any]) -> Any:
        try:
            import reasoning_gym
            from reasoning_gym.factory import DATASETS
        except ImportError as error:
            raise DataError(
                f"tasks of reasoning-gym need an extra that is missing ({error}): "
                f"pip install 'cropi[gym]'"
            ) from error
        if task not in DATASETS:
            raise DataError(
                f"reasoning-gym has no task {task!r}{did_you_mean(task, DATASETS)}"
            )
        try:
            return reasoning_gym.create_dataset(task, size=self.size, seed=self.seed, **config)
        # What a generator raises for settings that it does not have or allow.
        except (TypeError, ValueError, AssertionError) as error:
            raise DataError(f"reasoning-gym's {task} refuses {config}: {error}") from error
