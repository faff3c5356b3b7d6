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
from cropi.contracts import Prompts, StepResult, TrainingContext
from cropi.journal import Journal
from cropi.policies.policy import Policy
from cropi.progress import Advance, Display
from cropi.rollouts.drawing import Drawing
from cropi.selectors.files import (
    read_scores,
    read_selection,
    selection_metrics,
    write_selection,
)
from cropi.selectors.ranking import budget_of
from cropi.settings import Parts, Settings
from cropi.supply import Supply
from cropi.types import Cost, Prompt, Selection

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
        """The phase's prompts: scored and chosen now, unless they were before."""
        if self.journal.progress.selected < phase:
            self.choose(phase)
        self.supply.clear(phase)
        return read_selection(self.journal.phase_folder(phase))

    def choose(self, phase: int) -> None:
        """Score the pool, take the best, and commit the choice."""
        selector, progress = self.parts.selector, self.journal.progress
        budget = budget_of(selector.alpha, len(self.prompts.pool))
        if phase > 0 and selector.refresh == "once":
            scores = read_scores(self.journal.phase_folder(0))
            selection = read_selection(self.journal.phase_folder(0))
        else:
            context = self.supply.context(phase)
            began = time.perf_counter()
            scores = selector.score(self.prompts.pool, context)
            selection = selector.select(scores, budget)
            self.journal.spend(Cost.of("selection", seconds=time.perf_counter() - began))
        write_selection(self.journal.phase_folder(phase), selection, scores, self.pool)
        if len(selection.ids) < budget:
            log.warning("phase %d: only %d prompts could be selected of a budget of %d",
                        phase, len(selection.ids), budget)
        earlier = [read_selection(self.journal.phase_folder(each)) for each in range(phase)]
        metrics = selection_metrics(scores, selection, earlier)
        self.journal.record("selection", progress.step, phase, metrics)
        progress.selected = phase
        self.journal.commit()

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
                needs_weights=lambda step: self.is_saved(step, last) or self.is_due(step, last),
            ))

    def after_step(self, phase: int, result: StepResult, last: int, advance: Advance) -> None:
        """Log, let the selector learn from the step, evaluate and save when due."""
        self.journal.progress.step = step = result.step
        self.journal.spend(result.cost)
        self.parts.selector.observe(step, result.groups)
        self.supply.remember(step, result.groups)
        self.journal.record("train", step, phase, result.metrics)
        advance(1, f"reward {result.metrics.get('reward', float('nan')):.3f}")
        if self.is_due(step, last):
            self.evaluate(phase)
        if self.is_saved(step, last):
            keep = self.settings.keep_phase_policies and step == last
            checkpoint.save(self.folder, self.journal, self.policy, self.parts, keep=keep)

    def is_due(self, step: int, last: int) -> bool:
        return self.parts.evaluation.is_due(step, phase_ends=step == last)

    def is_saved(self, step: int, last: int) -> bool:
        return step % self.settings.checkpoint_every == 0 or step == last

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
    def supply(self) -> Supply:
        return Supply(
            settings=self.settings,
            parts=self.parts,
            prompts=self.prompts,
            policy=self.policy,
            starting=lambda: self.reference,
            draw=self.draw,
            journal=self.journal,
            display=self.display,
            identity=self.identity,
        )

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
