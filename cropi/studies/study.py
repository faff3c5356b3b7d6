"""The contract of a study, and what all studies read of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from cropi.contracts import Model
from cropi.policies.policy import WEIGHTS, Policy
from cropi.reports.runs import Run
from cropi.rollouts.store import read_shard
from cropi.runtime.errors import CropiError
from cropi.runtime.files import read_json
from cropi.runtime.parts import Part, build, part
from cropi.types import Group


@part
class Study(Part, ABC):
    """A question about the method, answered from the files of one run.

    ``run`` is its folder; null studies the run that the rest of the command line describes, which
    is run first when it has to be.
    """

    run: str | None = None

    @abstractmethod
    def conduct(self, run: Run, cache: Path) -> Path:
        """Write the answer below ``run.folder/studies`` and print it; the folder written."""


def policy_of(run: Run, cache: Path, step: int | None) -> Policy:
    """The run's policy after ``step`` steps (0: the start; None: the last one saved).

    Raises CropiError naming the steps that were kept.
    """
    model: Model = build(run.config["model"], Model, "model")  # type: ignore[type-abstract]
    policy = model.load(cache)
    saved = {
        int(path.parent.name.removeprefix("step-")): path.parent
        for folder in ("checkpoints", "policies")
        for path in (run.folder / folder).glob(f"step-*/{WEIGHTS}")
    }
    step = max(saved, default=0) if step is None else step
    if step > 0:
        if step not in saved:
            kept = ", ".join(map(str, sorted({0, *saved})))
            raise CropiError(
                f"{run.folder} has no policy of step {step}, only of {kept}; "
                f"keep_phase_policies=true keeps one a phase"
            )
        policy.load_weights(saved[step])
    return policy


def stored_groups(run: Run, name: str) -> Iterator[Group]:
    """The offline groups of ``train`` or ``validation/…``. Raises CropiError when there are none.
    """
    folder = run.folder / "rollouts" / name
    if not (folder / "index.json").exists():
        raise CropiError(
            f"{run.folder} has no stored rollouts of {name}; study a run of a selector that needs "
            f"them, such as selector=cropi"
        )
    shards = read_json(folder / "index.json")["shards"]
    for shard in sorted(shards, key=int):
        yield from read_shard(folder / shards[shard]["file"])


def validation_sets(run: Run) -> list[str]:
    return sorted(
        str(path.parent.relative_to(run.folder / "rollouts"))
        for path in (run.folder / "rollouts").glob("validation/*/index.json")
    )
