"""The contracts between the parts: what each kind must do, and what it is given.

One page on purpose: whoever writes a new selector, verifier, generator, trainer, tracker,
benchmark or model reads this file and nothing else. Parts import these contracts and ``types``,
never each other.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field

from cropi.runtime.parts import Part, part
from cropi.types import Cost, Group, Prompt, Scores, Selection, Trajectory, Verdict

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from cropi.policies.policy import Policy
    from cropi.projectors.projection import ParameterShape, Projection

Share = Annotated[float, Field(gt=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
# β's groups of the pool; β's groups of the validation sets; the validation sets' prompts alone;
# the groups that training has drawn so far.
Requirement = Literal["rollouts", "validation", "validation_prompts", "training"]


# ── benchmarks ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class TestSet:
    """Prompts that are only ever reported. Targeted: its validation half guided the selection."""

    __test__ = False  # pytest would take the name for a test's

    prompts: tuple[Prompt, ...]
    targeted: bool


@dataclass(frozen=True)
class LoadReport:
    """What loading found: rows read and dropped (and why) a source, overlaps between the sets."""

    rows: Mapping[str, Mapping[str, int]]  # source name -> {"read": …, "kept": …, reason: …}
    overlaps: Mapping[str, int]  # "train ∩ test/gsm8k" -> questions that are the same
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)  # reason -> a few rows
    # Source name -> golds {"normalised": …, "several answers": …, "alternatives": …}
    golds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    # "train ∩ test/gsm8k" -> rows of each that share 13 words in a row, with examples
    near: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    short: Mapping[str, int] = field(default_factory=dict)  # set -> questions of under 13 words
    # Every row that cannot be trusted: set, id, source, question, golds (or row) and reason
    faults: Sequence[Mapping[str, Any]] = field(default_factory=list)
    # Set -> {"loaded": …, "kept": …, "ids": …, reason: …}, once the verifier has seen the golds
    sets: Mapping[str, Mapping[str, int | str]] = field(default_factory=dict)
    label_noise: Mapping[str, Any] | None = None  # which training golds were replaced, if any


@dataclass(frozen=True)
class Prompts:
    """A loaded benchmark: training pool, validation sets for selection, test sets to report."""

    pool: tuple[Prompt, ...]
    validation: Mapping[str, tuple[Prompt, ...]]
    tests: Mapping[str, TestSet]
    report: LoadReport


class Benchmark(Part, ABC):
    """Where prompts come from.

    ``max_prompt_tokens`` and ``max_new_tokens`` are the lengths its questions and answers need.
    """

    max_prompt_tokens: int
    max_new_tokens: int

    @abstractmethod
    def load(self, seed: int) -> Prompts:
        """Read, clean and split. Raises DataError naming file and row. ``seed`` fixes splits."""


class Source(Part, ABC):
    """One readable set of prompts inside a benchmark (a hub id, a file, generated tasks)."""

    @abstractmethod
    def read(self) -> Iterable[Prompt | Dropped]:
        """Yield prompts in a fixed order, or what was dropped and why, one item a row."""

    @property
    @abstractmethod
    def name(self) -> str:
        """A short name for reports, such as ``gsm8k/train``."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that gave no prompt: ``reason`` is a short stable phrase, ``row`` where it stood."""

    reason: str
    row: str


# ── verifiers ────────────────────────────────────────────────────────────────────────────────


class Verifier(Part, ABC):
    """Is the answer right? Bounded in time, and the same on any thread."""

    @abstractmethod
    def verify(self, text: str, prompt: Prompt) -> Verdict:
        """The verdict on one completion (decoded without special tokens)."""

    def verify_all(self, items: Sequence[tuple[str, Prompt]]) -> list[Verdict]:
        """Verdicts in the order of ``items``; override to work in parallel."""
        return [self.verify(text, prompt) for text, prompt in items]

    def completion_of(self, gold: str) -> str:
        r"""A completion whose answer is ``gold``, as this verifier wants answers written."""
        return rf"\boxed{{{gold}}}"

    def gold_problems(self, prompts: Sequence[Prompt]) -> list[str | None]:
        """Why each prompt's golds cannot be used (a short stable phrase), or None when they can.

        Asked once for whole sets, at load: a gold must at least verify against itself.
        """
        return [self.gold_problem(prompt) for prompt in prompts]

    def gold_problem(self, prompt: Prompt) -> str | None:
        """The same for one prompt."""
        return None

    def close(self) -> None:
        """Stop worker processes. Safe to call twice."""


# ── models and rollouts ──────────────────────────────────────────────────────────────────────


class Model(Part, ABC):
    """How a policy is loaded."""

    @abstractmethod
    def load(self, cache: Path) -> Policy:
        """The initial policy. ``cache`` is a folder for what had to be made (warm starts)."""


@part
class Sampling(Part):
    """How completions are drawn. Every field is explicit: nothing comes from a model's files."""

    temperature: Annotated[float, Field(ge=0.0)] = 1.0  # 0 is greedy
    top_p: Share = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0  # 0 keeps the whole vocabulary
    max_new_tokens: PositiveInt = 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One trajectory to draw: its prompt's token ids and its own random stream.

    ``seed`` belongs to the trajectory, so what is drawn does not depend on how requests are
    batched.
    """

    prompt_id: str
    prompt_token_ids: tuple[int, ...]
    seed: int


class Generator(Part, ABC):
    """Draws trajectories from a policy."""

    @abstractmethod
    def generate(
        self, policy: Policy, requests: Sequence[Request], sampling: Sampling
    ) -> list[Trajectory]:
        """One ungraded trajectory a request, in the order of ``requests``."""


# ── selectors ────────────────────────────────────────────────────────────────────────────────


class FreshRollouts(Protocol):
    """Groups by prompt id, newly drawn from the current policy."""

    def __call__(self, name: str, prompts: Sequence[Prompt]) -> dict[str, Group]: ...


@dataclass(frozen=True)
class PolicySource:
    """All that another process needs to load the same policy (it is sent there)."""

    model: Model
    cache: Path
    weights: Path | None  # a folder of Policy.save_weights; None is the starting policy

    def load(self) -> Policy:
        policy = self.model.load(self.cache)
        if self.weights is not None:
            policy.load_weights(self.weights)
        return policy


@dataclass(frozen=True)
class SelectionContext:
    """What a selector may look at. Only what it ``requires`` is filled in."""

    phase: int
    seed: int
    policy: Policy
    rollouts: Mapping[str, Group] = field(default_factory=dict)  # prompt id -> newest stored group
    validation: Mapping[str, Sequence[Group]] = field(default_factory=dict)  # set -> stored groups
    validation_prompts: Mapping[str, Sequence[Prompt]] = field(default_factory=dict)  # set -> used
    training: Mapping[str, Group] = field(default_factory=dict)  # prompt id -> last training group
    # Draw new groups with the current policy, as many trajectories each as offline: the set's name
    # (train or validation/…) and its prompts. Stored with the phase, charged, resumable.
    fresh: FreshRollouts | None = None
    # Scores of the phase before; None in the first.
    previous: Callable[[], Scores | None] = lambda: None
    # The optimiser's second moment by parameter name; None before the first step.
    second_moment: Callable[[], Mapping[str, Tensor] | None] = lambda: None
    folder: Path | None = None  # of the phase, for what must survive a kill; None: memory only
    source: PolicySource | None = None  # how another process gets this policy
    workers: int = 1  # processes to score with
    # Progress of a long piece of work: ``with stage("scoring", 300) as advance: advance(1, "")``.
    stage: Callable[[str, int], AbstractContextManager[Callable[[int, str], None]]] = (
        lambda title, total: nullcontext(lambda done, note: None)
    )
    spend: Callable[[Cost], None] = lambda cost: None  # report tokens; seconds are timed outside


class Selector(Part, ABC):
    """Which prompts next? ``score`` says how useful each is, ``select`` takes the best.

    What ``needs`` returns is checked before anything heavy runs, and provided before the first
    ``score``: a selector that needs no rollouts is charged for none. The policy is always there,
    for selectors that compute gradients. ``refresh: once`` keeps the first phase's selection. Only
    ``observe`` may change what ``state_dict`` returns.
    """

    requires: ClassVar[frozenset[Requirement]] = frozenset()
    alpha: float
    refresh: Literal["once", "phase"]

    def needs(self) -> frozenset[Requirement]:
        """``requires``, unless an option asks for more or less."""
        return self.requires

    @abstractmethod
    def score(self, pool: Sequence[Prompt], context: SelectionContext) -> Scores:
        """One value a prompt of the pool, in its order."""

    @abstractmethod
    def select(self, scores: Scores, budget: int) -> Selection:
        """At most ``budget`` prompts, never none (raises CropiError saying why)."""

    def observe(self, step: int, groups: Sequence[Group]) -> None:
        """See the graded groups of a training step (free information for online methods)."""

    def state_dict(self) -> dict[str, Any]:
        """JSON values that ``load_state_dict`` restores exactly."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            raise ValueError(f"{type(self).__name__} keeps no state, but was given {sorted(state)}")


class Projector(Part, ABC):
    """How a gradient is made small: a choice of coordinates and a sketch to k numbers.

    Masks and signs are hashes of (seed, parameter name, flat index): the same on every device, for
    every batch size and number of processes. No projection matrix is ever stored.
    """

    @abstractmethod
    def bind(self, parameters: Sequence[ParameterShape], device: torch.device) -> Projection:
        """The projection for a model with these trainable parameters."""


# ── trainers ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class StepResult:
    """One optimizer step's worth of training, done: metrics to log and the groups it saw."""

    step: int  # counted from 1 over all phases
    metrics: Mapping[str, float]
    groups: Sequence[Group]
    cost: Cost


class Rollouts(Protocol):
    """Draws and grades groups; the experiment binds it to generator and verifier.

    ``stream`` names the random stream, e.g. ``("training", step)``: the same name, the same draws.
    One group a prompt, in order; a prompt named twice gives two groups.
    """

    def __call__(
        self,
        policy: Policy,
        prompts: Sequence[Prompt],
        *,
        samples: int,
        sampling: Sampling,
        stream: tuple[str | int, ...],
    ) -> list[Group]: ...


@dataclass(frozen=True)
class TrainingContext:
    """What a trainer is given for one phase."""

    phase: int
    first_step: int  # steps already done before this call; a resumed phase starts in its middle
    last_step: int  # train until this many steps are done, counted over all phases
    total_steps: int  # of the whole run, for schedules
    seed: int
    prompts: Mapping[str, Prompt]
    rollouts: Rollouts
    reference: Callable[[], Policy]  # the initial policy, loaded at the first call; never trained
    after_step: Callable[[StepResult], None]  # logs, evaluates, saves; may raise to stop
    # Whether ``after_step`` looks at the weights after this step: a trainer that keeps them in
    # other processes brings them back only then.
    needs_weights: Callable[[int], bool] = lambda step: True


class Trainer(Part, ABC):
    """How the policy learns. Optimizer, schedule and data order go on over phases and resumes."""

    @abstractmethod
    def train(self, policy: Policy, selection: Selection, context: TrainingContext) -> None:
        """Update ``policy`` in place, calling ``context.after_step`` after each step."""

    def second_moment(self, policy: Policy) -> Mapping[str, Tensor] | None:
        """The optimiser's estimate of E[g²] by parameter name, without bias; None before step 1."""
        return None

    @abstractmethod
    def save(self, folder: Path, policy: Policy) -> None:
        """Write everything but the weights that the next step depends on (no pickle)."""

    @abstractmethod
    def load(self, folder: Path, policy: Policy) -> None:
        """Restore what ``save`` wrote, exactly."""


# ── trackers ─────────────────────────────────────────────────────────────────────────────────

SECRET = re.compile(
    r"(^|[._-])(api[_-]?key|key|token|secret|password|credentials?)([._-]|$)", re.IGNORECASE
)


@dataclass(frozen=True)
class RunIdentity:
    """What a tracker needs to find or make the run it mirrors into."""

    run_id: str  # stable over resumes
    name: str
    folder: Path
    config: Mapping[str, Any]  # flat, without secrets


class Tracker(Part, ABC):
    """Mirrors metrics somewhere. Never asks, never hangs, never stops a run: it warns once."""

    @abstractmethod
    def start(self, run: RunIdentity) -> None: ...

    @abstractmethod
    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...

    @abstractmethod
    def finish(self, summary: Mapping[str, float]) -> None:
        """Close the run. Also called, with what there is, when the run stops early."""


