"""CROPI's curriculum, readable as the paper tells it.

    roll out every prompt once with the starting policy β         (only if the selector asks)
    for each phase:
        score the whole pool with the current policy              selector.score
        keep the best share α                                     selector.select
        train on those                                            trainer.train
        evaluate along the way                                    evaluation.evaluate

Every stage is committed when it is done and skipped when it is found done, so a run that was
killed goes on where it stopped. What differs between methods lives in the parts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cropi import checkpoint
from cropi.contracts import Prompts, SelectionContext, StepResult, TrainingContext
from cropi.journal import Journal
from cropi.policies.policy import Policy
from cropi.preparation import digest_of
from cropi.progress import Advance, Display
from cropi.rollouts.drawing import Drawing
from cropi.rollouts.offline import offline_metrics, offline_sets, roll_out
from cropi.rollouts.store import RolloutStore
from cropi.selectors.files import (
    read_scores,
    read_selection,
    selection_metrics,
    write_selection,
)
from cropi.selectors.ranking import budget_of
from cropi.settings import Parts, Settings
from cropi.types import Cost, Group, Prompt, Selection

log = logging.getLogger(__name__)


@dataclass
class Experiment:
    """One method, one model, one benchmark, one seed."""

    settings: Settings
    parts: Parts
    prompts: Prompts
    policy: Policy  # the starting policy; training changes it in place
    folder: Path
    journal: Journal
    display: Display
    identity: Mapping[str, Any]  # what the rollouts depend on besides prompts and sampling

    def run(self) -> None:
        """Do what is left to do."""
        checkpoint.restore(self.folder, self.journal.progress, self.policy, self.parts)
        if self.journal.progress.step == 0:
            self.evaluate()
        steps = self.settings.steps_per_phase
        for phase in range(self.journal.progress.step // steps, self.settings.phases):
            selection = self.select(phase)
            self.train(phase, selection)

    # ── select ───────────────────────────────────────────────────────────────────────────────

    def select(self, phase: int) -> Selection:
        """The phase's prompts: read back if chosen before, else scored and chosen now."""
        folder = self.phase_folder(phase)
        if self.journal.progress.selected >= phase:
            return read_selection(folder)
        selector = self.parts.selector
        budget = budget_of(selector.alpha, len(self.prompts.pool))
        context = self.selection_context(phase)
        began = time.perf_counter()
        if phase > 0 and selector.refresh == "once":
            scores, selection = read_scores(self.phase_folder(0)), self.selections(1)[0]
        else:
            scores = selector.score(self.prompts.pool, context)
            selection = selector.select(scores, budget)
        self.journal.spend(Cost.of("selection", seconds=time.perf_counter() - began))
        write_selection(folder, selection, scores, self.pool)
        if len(selection.ids) < budget:
            log.warning("phase %d: only %d prompts could be selected of a budget of %d",
                        phase, len(selection.ids), budget)
        metrics = selection_metrics(scores, selection, self.selections(phase))
        self.journal.record("selection", self.journal.progress.step, phase, metrics)
        self.journal.progress.selected = phase
        self.journal.commit()
        return selection

    def selection_context(self, phase: int) -> SelectionContext:
        """What the selector asked for, and nothing it would then be charged for in vain."""
        needs = self.parts.selector.requires
        refreshes = phase == 0 or self.parts.selector.refresh == "phase"
        rollouts = self.offline_rollouts() if needs and refreshes else {}
        return SelectionContext(
            phase=phase,
            seed=self.settings.seed,
            policy=self.policy,
            rollouts=rollouts.get("train", {}),
            validation={
                name.removeprefix("validation/"): list(groups.values())
                for name, groups in rollouts.items() if name != "train"
            },
            spend=self.journal.spend,
        )

    def offline_rollouts(self) -> dict[str, dict[str, Group]]:
        """β's groups by set and prompt id, drawn on the first call and read back ever after."""
        offline = self.settings.offline
        validation = "validation" in self.parts.selector.requires
        sets = offline_sets(self.prompts, offline, validation=validation)
        behaviour = self.policy if self.journal.progress.step == 0 else self.reference
        cost, groups = Cost(), {}
        total = sum(len(prompts) for prompts, _ in sets.values())
        known = self.journal.progress.rolled_out
        title = "stored rollouts" if known else "offline rollouts"
        with self.display.stage(title, total) as advance:
            for name, (prompts, samples) in sets.items():
                store = RolloutStore(self.folder / "rollouts" / name, {
                    **self.identity,
                    "samples": samples,
                    "shard_prompts": offline.shard_prompts,
                    "prompts": digest_of(prompts),
                })
                groups[name] = roll_out(
                    behaviour,
                    prompts,
                    samples=samples,
                    sampling=offline.sampling,
                    shard_prompts=offline.shard_prompts,
                    rollouts=self.draw,
                    store=store,
                    advance=lambda done: advance(done, ""),
                )
                cost += store.cost
        if not known:
            self.journal.spend(cost)
            metrics = offline_metrics(groups["train"])
            self.journal.record("rollouts", self.journal.progress.step, 0, metrics)
            self.journal.progress.rolled_out = True
            self.journal.commit()
        return groups

    # ── train ────────────────────────────────────────────────────────────────────────────────

    def train(self, phase: int, selection: Selection) -> None:
        """The phase's optimizer steps on the selected prompts."""
        done, steps = self.journal.progress.step, self.settings.steps_per_phase
        last = (phase + 1) * steps
        with self.display.stage(f"phase {phase + 1} of {self.settings.phases}", steps) as advance:
            advance(done - phase * steps, "")
            self.parts.trainer.train(self.policy, selection, TrainingContext(
                phase=phase,
                first_step=done,
                last_step=last,
                total_steps=steps * self.settings.phases,
                seed=self.settings.seed,
                prompts=self.pool,
                rollouts=self.draw,
                reference=lambda: self.reference,
                after_step=lambda result: self.after_step(phase, result, last, advance),
            ))

    def after_step(self, phase: int, result: StepResult, last: int, advance: Advance) -> None:
        """Log, let the selector learn from the step, evaluate and save when due."""
        self.journal.progress.step = step = result.step
        self.journal.spend(result.cost)
        self.parts.selector.observe(step, result.groups)
        self.journal.record("train", step, phase, result.metrics)
        advance(1, f"reward {result.metrics.get('reward', float('nan')):.3f}")
        if self.parts.evaluation.is_due(step, phase_ends=step == last):
            self.evaluate(phase)
        if step % self.settings.checkpoint_every == 0 or step == last:
            keep = self.settings.keep_phase_policies and step == last
            checkpoint.save(self.folder, self.journal, self.policy, self.parts, keep=keep)

    def evaluate(self, phase: int = 0) -> None:
        """Measure the policy on every test set; item-level outcomes stay on disk."""
        progress = self.journal.progress
        if progress.evaluated >= progress.step:
            return
        chosen = self.parts.evaluation.chosen(self.prompts.tests)
        log.info("step %d: evaluating %d prompts", progress.step, sum(map(len, chosen.values())))
        result = self.parts.evaluation.evaluate(
            self.policy,
            self.prompts.tests,
            self.draw,
            step=progress.step,
            folder=self.folder / "evaluations" / f"step-{progress.step:06d}",
            seed=self.settings.seed,
        )
        self.journal.spend(result.cost)
        self.journal.record("evaluation", progress.step, phase, result.metrics)
        progress.evaluated = progress.step
        if progress.step == 0:
            self.journal.commit()
        log.info("step %d: %s", progress.step, " ".join(
            f"{name.removeprefix('eval/')} {value:.3f}" for name, value in result.metrics.items()
            if name in ("eval/targeted", "eval/untargeted", "eval/all")
        ))

    # ── shared ───────────────────────────────────────────────────────────────────────────────

    @cached_property
    def draw(self) -> Drawing:
        return Drawing(self.parts.generator, self.parts.verifier, self.settings.seed)

    @cached_property
    def pool(self) -> dict[str, Prompt]:
        return {prompt.id: prompt for prompt in self.prompts.pool}

    @cached_property
    def reference(self) -> Policy:
        """The starting policy once more, for KL terms and lost rollouts. Only used without grad.

        Its parameters keep requires_grad: torch folds a matmul differently without it, and the
        same weights would then give other bits than the policy itself.
        """
        policy = self.parts.model.load(self.settings.cache)
        policy.model.eval()
        return policy

    def phase_folder(self, phase: int) -> Path:
        return self.folder / "phases" / f"{phase:03d}"

    def selections(self, phases: int) -> list[Selection]:
        """Those of the first ``phases`` phases."""
        return [read_selection(self.phase_folder(phase)) for phase in range(phases)]
