"""What a selector asked for, and nothing it would then be charged for in vain."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cropi.contracts import PolicySource, Prompts, Rollouts, SelectionContext
from cropi.journal import PHASES, Journal
from cropi.policies.policy import Policy
from cropi.preparation import digest_of
from cropi.progress import Advance, Display
from cropi.rollouts.offline import (
    TRAIN,
    VALIDATION,
    offline_metrics,
    offline_sets,
    samples_of,
    validation_prompts,
)
from cropi.rollouts.sharding import roll_out
from cropi.rollouts.shared import alone, place, take_over
from cropi.rollouts.store import INDEX, RolloutStore
from cropi.rollouts.training import TrainingGroups
from cropi.selectors.files import read_scores, read_selection
from cropi.settings import Parts, Settings
from cropi.types import Cost, Group, Prompt, Scores

WEIGHTS, GRADIENTS = "weights", "gradients"  # folders of a phase, gone after its selection


@dataclass
class Supply:
    """Fills in the ``SelectionContext`` of a phase. Each requirement is met by itself."""

    settings: Settings
    parts: Parts
    prompts: Prompts
    policy: Policy  # the current one; training changes it in place
    starting: Callable[[], Policy]  # the policy as it was before training
    draw: Rollouts
    journal: Journal
    display: Display
    identity: Mapping[str, Any]  # what the rollouts depend on besides prompts and sampling
    _charged: set[Path] = field(default_factory=set)

    def context(self, phase: int) -> SelectionContext:
        """What the selector needs for its scores of this phase."""
        needs = self.parts.selector.needs()
        stored = self.stored(phase)
        used = validation_prompts(self.prompts, self.settings.offline)
        return SelectionContext(
            phase=phase,
            seed=self.settings.seed,
            policy=self.policy,
            rollouts=stored.pop(TRAIN, {}),
            validation={
                name.removeprefix(VALIDATION): list(groups.values())
                for name, groups in stored.items()
            },
            validation_prompts=used if "validation_prompts" in needs else {},
            training=self.training(phase) if "training" in needs else {},
            fresh=partial(self.fresh, phase),
            previous=partial(self.previous, phase),
            second_moment=lambda: self.parts.trainer.second_moment(self.policy),
            folder=self.journal.phase_folder(phase),
            source=self.source(phase),
            workers=self.settings.workers,
            stage=self.display.stage,
            spend=self.journal.spend,
        )

    def stored(self, phase: int) -> dict[str, dict[str, Group]]:
        """Groups by set and prompt id: β's, or those of the last earlier phase that drew fresh.

        What this phase has drawn is not among them: a run that was killed in the middle of it
        must see what it saw before.
        """
        newest = self.offline()
        for earlier in range(phase):
            for name, groups in newest.items():
                folder = self.journal.phase_folder(earlier) / "rollouts" / name
                if (folder / INDEX).exists():
                    fresh = RolloutStore.open(folder).groups()
                    groups |= {g.prompt_id: g for g in fresh if g.prompt_id in groups}
        return newest

    def offline(self) -> dict[str, dict[str, Group]]:
        """β's groups, drawn on the first call and read back ever after."""
        progress = self.journal.progress
        sets = offline_sets(self.prompts, self.settings.offline, self.parts.selector.needs())
        if not sets:
            return {}
        behaviour = self.policy if progress.step == 0 else self.starting()
        cost, groups = Cost(), {}
        title = "stored rollouts" if progress.rolled_out else "offline rollouts"
        with self.display.stage(title, sum(map(len, sets.values()))) as advance:
            for name, prompts in sets.items():
                groups[name], spent = self.shared(behaviour, name, prompts, advance)
                cost += spent
        if not progress.rolled_out:
            self.journal.spend(cost)
            metrics = offline_metrics(groups[TRAIN]) if TRAIN in groups else {}
            self.journal.record("rollouts", progress.step, 0, metrics)
            progress.rolled_out = True
            self.journal.commit()
        return groups

    def shared(
        self, behaviour: Policy, name: str, prompts: Sequence[Prompt], advance: Advance
    ) -> tuple[dict[str, Group], Cost]:
        """A set's groups and their cost: drawn where all runs find them, or by another run."""
        own = self.store(self.journal.folder, name, prompts)
        purpose = "offline_rollout"
        if not own.index_path.exists():
            common = place(self.settings.runs, name, own.index["identity"])
            with alone(common):
                store = RolloutStore(common, own.index["identity"])
                self.roll_out(behaviour, name, prompts, store, ("offline",), purpose, advance)
                take_over(common, own.folder)
            own, advance = self.store(self.journal.folder, name, prompts), lambda done, note: None
        groups = self.roll_out(behaviour, name, prompts, own, ("offline",), purpose, advance)
        return groups, own.cost

    def fresh(self, phase: int, name: str, prompts: Sequence[Prompt]) -> dict[str, Group]:
        """New groups of the current policy, charged as selection.

        The seconds of this process are timed around the selector; those of killed ones are
        added here.
        """
        store = self.store(
            self.journal.phase_folder(phase),
            name,
            prompts,
            policy=self.policy.fingerprint(),
            phase=phase,
        )
        before = store.cost.total("seconds")
        with self.display.stage(f"fresh rollouts of {name}", len(prompts)) as advance:
            groups = self.roll_out(
                self.policy, name, prompts, store, ("fresh", phase), "selection", advance
            )
        if store.folder not in self._charged:
            self._charged.add(store.folder)
            spent = {**store.cost.amounts.get("selection", {}), "seconds": before}
            self.journal.spend(Cost.of("selection", **spent))
        return groups

    def store(
        self, folder: Path, name: str, prompts: Sequence[Prompt], **identity: Any
    ) -> RolloutStore:
        """Where a set's groups are kept; ``identity`` overrides and adds to the run's."""
        return RolloutStore(folder / "rollouts" / name, {
            **self.identity,
            "samples": samples_of(name, self.settings.offline),
            "shard_prompts": self.settings.offline.shard_prompts,
            "prompts": digest_of(prompts),
            **identity,
        })

    def roll_out(
        self,
        policy: Policy,
        name: str,
        prompts: Sequence[Prompt],
        store: RolloutStore,
        stream: tuple[str | int, ...],
        purpose: str,
        advance: Advance,
    ) -> dict[str, Group]:
        """A set's groups, by the run's options."""
        offline = self.settings.offline
        return roll_out(
            policy,
            prompts,
            samples=samples_of(name, offline),
            sampling=offline.sampling,
            stream=stream,
            purpose=purpose,
            shard_prompts=offline.shard_prompts,
            rollouts=self.draw,
            store=store,
            advance=lambda done: advance(done, ""),
        )

    def remember(self, step: int, groups: Sequence[Group]) -> None:
        """Keep the groups of a training step, for a selector that asks for them."""
        if "training" in self.parts.selector.needs():
            self.training_groups.write(step, groups)

    def training(self, phase: int) -> dict[str, Group]:
        """The last training group of each prompt."""
        earlier = [read_selection(self.journal.phase_folder(each)).ids for each in range(phase)]
        return self.training_groups.latest(earlier)

    @property
    def training_groups(self) -> TrainingGroups:
        return TrainingGroups(self.journal.folder / PHASES, self.settings.steps_per_phase)

    def previous(self, phase: int) -> Scores | None:
        return read_scores(self.journal.phase_folder(phase - 1)) if phase > 0 else None

    def source(self, phase: int) -> PolicySource | None:
        """For other processes, when there are to be any: the last checkpoint, or the start.

        A new adapter is written down, since to load it again is to draw it anew.
        """
        if self.settings.workers == 1:
            return None
        weights = None
        if self.journal.progress.checkpoint is not None:
            weights = self.journal.folder / self.journal.progress.checkpoint
        elif any(not parameter.requires_grad for parameter in self.policy.model.parameters()):
            weights = self.journal.phase_folder(phase) / WEIGHTS
            self.policy.save_weights(weights)
        return PolicySource(self.parts.model, self.settings.cache, weights)

    def clear(self, phase: int) -> None:
        """Remove what a committed selection does not need any more."""
        for name in [WEIGHTS] if self.settings.keep_gradients else [WEIGHTS, GRADIENTS]:
            shutil.rmtree(self.journal.phase_folder(phase) / name, ignore_errors=True)
