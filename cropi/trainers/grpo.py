"""GRPO and its relatives: sample groups, compare within them, follow the better completions.

One step draws ``prompts_per_step`` groups from the current policy and makes
``epochs × mini_batches`` updates on them. This file reads from top to bottom; the mathematics is
in ``advantages``, ``losses`` and ``kl``, the updates are in ``update``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from cropi.advantages import Baseline, Scale
from cropi.contracts import PositiveInt, Sampling, StepResult, Trainer, TrainingContext
from cropi.policies.policy import Policy
from cropi.runtime.errors import CropiError
from cropi.runtime.parts import part
from cropi.trainers.batch import Batch, has_signal
from cropi.trainers.correction import Correction, Kind
from cropi.trainers.kl import Estimator
from cropi.trainers.losses import Mode, Objective, RatioOf, Surrogate
from cropi.trainers.metrics import group_metrics
from cropi.trainers.optimizer import MasterAdamW
from cropi.trainers.order import Order, prompts_at
from cropi.trainers.overlong import Overlong
from cropi.trainers.schedule import Schedule, learning_rate_at
from cropi.trainers.signal import without_signal
from cropi.trainers.state import Progress, load_state, save_state
from cropi.trainers.update import UpdatePlan, update
from cropi.types import Cost, Group, Selection

Count = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]

log = logging.getLogger(__name__)


@part
class GRPO(Trainer):
    """Group relative policy optimisation (2402.03300) and its relatives, by options.

    DAPO (2503.14476), Dr. GRPO (2503.20783), GSPO (2507.18071), CISPO (2506.13585) and RLOO
    (2402.14740) are files under conf/trainer. Simplified on purpose: one policy on one device, and
    what is random (samples, order) comes from named streams, so a resumed run needs no generator
    state.
    """

    prompts_per_step: PositiveInt = 32
    samples_per_prompt: Annotated[int, Field(ge=2)] = 8
    sampling: Sampling = Field(default_factory=Sampling)
    dynamic_sampling_rounds: Count = 0
    order: Order = "shuffled"
    loss: Mode = "grpo"
    baseline: Baseline = "mean"
    scale_rewards: Scale = "std"
    surrogate: Surrogate = "clip"
    ratio: RatioOf = "token"
    clip_low: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    clip_high: NonNegative = 0.2
    sampler_correction: Kind = "none"
    sampler_correction_low: NonNegative = 0.5
    sampler_correction_high: Positive = 2.0
    beta: NonNegative = 0.0
    kl_estimator: Estimator = "k3"
    kl_correction: bool = False
    entropy_coefficient: NonNegative = 0.0
    zero_variance: Literal["skip", "keep"] = "skip"
    truncated: Literal["keep", "mask"] = "keep"
    overlong_buffer: Count = 0
    overlong_penalty: NonNegative = 1.0
    stop_after_all_truncated: PositiveInt | None = 10
    epochs: PositiveInt = 1
    mini_batches: PositiveInt = 1
    micro_batch_size: PositiveInt = 64
    learning_rate: Positive = 5e-4
    warmup_steps: Count = 0
    schedule: Schedule = "constant"
    adam_beta1: Fraction = 0.9
    adam_beta2: Fraction = 0.999
    adam_eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    max_grad_norm: Positive | None = 1.0

    def __post_init__(self) -> None:
        if self.sampling.temperature == 0.0:
            raise ValueError(
                "sampling.temperature must be above 0: greedy completions of a prompt are all equal"
            )
        if self.mini_batches > self.prompts_per_step:
            raise ValueError(
                f"mini_batches={self.mini_batches} is more than "
                f"prompts_per_step={self.prompts_per_step}; a mini-batch holds whole groups"
            )
        if self.ratio == "sequence" and self.loss != "grpo":
            raise ValueError(
                f"ratio=sequence needs loss=grpo, which gives every response the same weight; "
                f"loss={self.loss} would weigh a response's one ratio by its length"
            )
        if self.overlong_buffer > self.sampling.max_new_tokens:
            raise ValueError(
                f"overlong_buffer={self.overlong_buffer} is longer than a response may be "
                f"(sampling.max_new_tokens={self.sampling.max_new_tokens})"
            )
        if self.sampler_correction_low > self.sampler_correction_high:
            raise ValueError("sampler_correction_low must not be above sampler_correction_high")
        self._progress = Progress()
        self._optimizer: MasterAdamW | None = None

    def train(self, policy: Policy, selection: Selection, context: TrainingContext) -> None:
        """Steps ``first_step + 1`` to ``last_step``.

        Raises CropiError when the trainer does not stand at ``first_step``, when training
        diverges, and after ``stop_after_all_truncated`` hopeless steps.
        """
        done = self._progress
        if done.step != context.first_step:
            raise CropiError(
                f"the trainer has done {done.step} steps, but the run stands at step "
                f"{context.first_step}: its checkpoint belongs to another moment"
            )
        if done.phase != context.phase:
            done.phase, done.drawn = context.phase, 0
        while done.step < context.last_step:
            result = self._step(policy, selection, context)
            context.after_step(result)
            self._stop_if_all_truncated()

    def _step(self, policy: Policy, selection: Selection, context: TrainingContext) -> StepResult:
        done, started = self._progress, perf_counter()
        step = done.step + 1
        seen, used = self._groups(policy, selection, context, step)
        rolled_out = perf_counter()

        learning_rate = learning_rate_at(
            step,
            peak=self.learning_rate,
            warmup_steps=self.warmup_steps,
            total_steps=context.total_steps,
            schedule=self.schedule,
        )
        metrics = group_metrics(seen)
        forward = backward = 0
        if used:
            batch = Batch.of(
                used,
                dict(zip(selection.ids, selection.weights, strict=True)),
                scale=self.scale_rewards,
                mask_truncated=self.truncated == "mask",
                baseline=self.baseline,
                overlong=Overlong(
                    self.sampling.max_new_tokens, self.overlong_buffer, self.overlong_penalty
                ),
            )
            outcome = update(
                policy,
                self._optimizer_of(policy),
                batch,
                self._plan(),
                learning_rate=learning_rate,
                reference=context.reference,
            )
            metrics |= outcome.metrics
            forward, backward = outcome.forward_tokens, outcome.backward_tokens
            if self.overlong_buffer:
                metrics["overlong_penalty"] = batch.overlong_penalty
        else:
            metrics |= {"loss": 0.0, "grad_norm": 0.0, "skipped_update": 1.0}
        if metrics["skipped_update"] == 1.0:
            log.warning("step %d: no group has differing rewards; there is nothing to learn", step)
        finished = perf_counter()

        generated = sum(len(t.token_ids) for g in seen for t in g.trajectories)
        prompted = sum(len(g.prompt_token_ids) * len(g.trajectories) for g in seen)
        all_truncated = metrics["completions/clipped_ratio"] == 1.0
        done.step = step
        done.num_tokens += generated + prompted
        done.truncated_steps = done.truncated_steps + 1 if all_truncated else 0
        metrics |= {
            "learning_rate": learning_rate,
            "epoch": done.drawn / len(selection.ids),
            "groups/seen": float(len(seen)),
            "groups/used": float(len(used)),
            "num_tokens": float(done.num_tokens),
            "all_truncated_steps": float(done.truncated_steps),
            "time/rollout": rolled_out - started,
            "time/update": finished - rolled_out,
            "step_time": finished - started,
        }
        cost = Cost.of(
            "training",
            seconds=finished - started,
            generated_tokens=generated,
            forward_tokens=forward,
            backward_tokens=backward,
        )
        return StepResult(step, metrics, seen, cost)

    def _groups(
        self, policy: Policy, selection: Selection, context: TrainingContext, step: int
    ) -> tuple[list[Group], list[Group]]:
        """The groups that were drawn, and those to learn from.

        Without dynamic sampling they are the same. With it, groups without signal are replaced by
        those of the next prompts, in a bounded number of rounds: what is missing then is missing.
        """
        seen: list[Group] = []
        used: list[Group] = []
        for attempt in range(1 + self.dynamic_sampling_rounds):
            groups = context.rollouts(
                policy,
                [context.prompts[i] for i in self._next(selection, context, len(used))],
                samples=self.samples_per_prompt,
                sampling=self.sampling,
                stream=("training", step) if attempt == 0 else ("training", step, attempt),
            )
            seen += groups
            used += groups if self.dynamic_sampling_rounds == 0 else self._with_signal(groups)
            if len(used) == self.prompts_per_step:
                break
        if len(used) < self.prompts_per_step:
            reasons = without_signal(seen, mask_truncated=self.truncated == "mask")
            log.warning(
                "step %d: %d of %d groups to learn from, after %d further rounds; of %d drawn: %s",
                step, len(used), self.prompts_per_step, self.dynamic_sampling_rounds, len(seen),
                ", ".join(f"{count} {reason}" for reason, count in reasons.items()),
            )  # fmt: skip
        return seen, used

    def _with_signal(self, groups: Sequence[Group]) -> list[Group]:
        return [g for g in groups if has_signal(g, mask_truncated=self.truncated == "mask")]

    def _next(self, selection: Selection, context: TrainingContext, have: int) -> list[str]:
        count = self.prompts_per_step - have
        start, self._progress.drawn = self._progress.drawn, self._progress.drawn + count
        return prompts_at(
            selection.ids,
            start,
            count,
            seed=context.seed,
            phase=context.phase,
            order=self.order,
        )

    def _stop_if_all_truncated(self) -> None:
        steps, limit = self._progress.truncated_steps, self.stop_after_all_truncated
        if steps == 0:
            return
        if limit is None or steps < limit:
            log.warning(
                "every completion was truncated at %d tokens, %d steps in a row",
                self.sampling.max_new_tokens,
                steps,
            )
            return
        raise CropiError(
            f"every completion of the last {steps} steps was truncated at "
            f"{self.sampling.max_new_tokens} tokens, so none can be right. Raise "
            f"trainer.sampling.max_new_tokens, or set trainer.stop_after_all_truncated=null"
        )

    def _plan(self) -> UpdatePlan:
        return UpdatePlan(
            objective=Objective(
                surrogate=self.surrogate,
                ratio=self.ratio,
                correction=Correction(
                    self.sampler_correction,
                    self.sampler_correction_low,
                    self.sampler_correction_high,
                ),
                clip_low=self.clip_low,
                clip_high=self.clip_high,
                beta=self.beta,
                estimator=self.kl_estimator,
                kl_correction=self.kl_correction,
                entropy_coefficient=self.entropy_coefficient,
            ),
            mode=self.loss,
            longest=self.sampling.max_new_tokens,
            temperature=self.sampling.temperature,
            epochs=self.epochs,
            mini_batches=self.mini_batches,
            micro_batch_size=self.micro_batch_size,
            keep_zero_variance=self.zero_variance == "keep",
            max_grad_norm=self.max_grad_norm,
        )

    def _optimizer_of(self, policy: Policy) -> MasterAdamW:
        if self._optimizer is None:
            self._optimizer = MasterAdamW(
                policy.trainable(),
                betas=(self.adam_beta1, self.adam_beta2),
                eps=self.adam_eps,
                weight_decay=self.weight_decay,
            )
        return self._optimizer

    def second_moment(self, policy: Policy) -> Mapping[str, Tensor] | None:
        return None if self._optimizer is None else self._optimizer.second_moment()

    def save(self, folder: Path, policy: Policy) -> None:
        save_state(folder, self._progress, self._optimizer_of(policy))

    def load(self, folder: Path, policy: Policy) -> None:
        """Continue from ``save``'s folder with ``policy``, whose weights are restored elsewhere.

        Raises CropiError when the files are damaged or belong to another model.
        """
        self._optimizer = None
        self._progress = load_state(folder, self._optimizer_of(policy))
