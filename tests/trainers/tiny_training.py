"""A tiny random Llama with a character tokenizer, and groups made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from cropi.contracts import Sampling, StepResult, TrainingContext
from cropi.policies.policy import Policy
from cropi.policies.template import PromptTemplate
from cropi.runtime.seeds import stream
from cropi.types import Group, Prompt, Selection, Trajectory, Verdict

CHARACTERS = "0123456789+-*="
EOS, PAD = 15, 14


def tiny_tokenizer() -> Any:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {c: i for i, c in enumerate(CHARACTERS)} | {"<pad>": PAD, "<eos>": EOS}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>"
    )


def tiny_policy(dtype: torch.dtype = torch.float32, seed: int = 0) -> Policy:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(CHARACTERS) + 2, hidden_size=16, intermediate_size=32,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        initializer_range=0.3, tie_word_embeddings=True, eos_token_id=EOS, pad_token_id=PAD,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config).to(dtype).eval()
    return Policy("tiny", model, tiny_tokenizer(), PromptTemplate(chat=False), (EOS,), PAD)


def trajectory(
    tokens: Sequence[int],
    reward: float | None,
    *,
    truncated: bool = False,
    log_probs: Sequence[float] | None = None,
) -> Trajectory:
    return Trajectory(
        token_ids=np.array(tokens, dtype=np.int32),
        log_probs=np.array(log_probs or [-1.0] * len(tokens), dtype=np.float32),
        finish="length" if truncated else "stop",
        text="",
        verdict=Verdict(reward, "ok" if reward is not None else "bad_gold", "hand"),
    )


def group(prompt_id: str, prompt: Sequence[int], *trajectories: Trajectory) -> Group:
    return Group(prompt_id, np.array(prompt, dtype=np.int32), tuple(trajectories))


def mixed_groups() -> list[Group]:
    """Four groups with lengths from 0 to 5, one of them constant, one row not scorable."""
    return [
        group("a", [1, 10, 2], trajectory([3, EOS], 1.0), trajectory([4, 4, 4, EOS], 0.0),
              trajectory([5, EOS], 0.0)),
        group("b", [7], trajectory([1, 2, 3, 4, 5], 0.0, truncated=True), trajectory([8, EOS], 1.0),
              trajectory([9, EOS], None)),
        group("c", [3, 11, 3, 13], trajectory([0, EOS], 1.0), trajectory([6, 6, EOS], 1.0),
              trajectory([EOS], 1.0)),
        group("d", [2, 2], trajectory([], 0.0), trajectory([4, 2, EOS], 0.5),
              trajectory([1, EOS], 1.0)),
    ]


def prompts(count: int) -> dict[str, Prompt]:
    made = [Prompt.create(f"{i}+{i}=", [str(2 * i)], source="test") for i in range(count)]
    return {p.id: p for p in made}


@dataclass
class FakeRollouts:
    """Random digits from the named stream; right when the first is below ``easy``."""

    easy: int = 5
    length: int = 4
    truncated: bool = False
    calls: list[tuple[tuple[str, ...], tuple[str | int, ...]]] = field(default_factory=list)

    def __call__(
        self,
        policy: Policy,
        prompts: Sequence[Prompt],
        *,
        samples: int,
        sampling: Sampling,
        stream: tuple[str | int, ...],
    ) -> list[Group]:
        self.calls.append((tuple(p.id for p in prompts), stream))
        return [
            group(
                p.id,
                policy.encode(p),
                *(self._draw(policy, (*stream, place, k)) for k in range(samples)),
            )
            for place, p in enumerate(prompts)
        ]

    def _draw(self, policy: Policy, name: tuple[str | int, ...]) -> Trajectory:
        # The weights' fingerprint is in the name: another policy, other samples.
        random = stream(0, *name, policy.fingerprint())
        tokens = random.integers(0, 10, size=int(random.integers(1, self.length))).tolist()
        ending = [] if self.truncated else [EOS]
        reward = float(tokens[0] < self.easy)
        return trajectory([*tokens, *ending], reward, truncated=self.truncated)


@dataclass
class Run:
    """Collects what a trainer reports."""

    prompts: dict[str, Prompt] = field(default_factory=lambda: prompts(6))
    rollouts: FakeRollouts = field(default_factory=FakeRollouts)
    results: list[StepResult] = field(default_factory=list)
    total_steps: int = 4
    references: int = 0
    reference_seed: int = 0

    def selection(self, weights: Sequence[float] | None = None) -> Selection:
        ids = tuple(self.prompts)
        return Selection(ids, tuple(weights or [1.0] * len(ids)), ("",) * len(ids), len(ids))

    def context(
        self,
        first: int,
        last: int,
        *,
        phase: int = 0,
        seed: int = 0,
        after_step: Callable[[StepResult], None] | None = None,
    ) -> TrainingContext:
        def reference() -> Policy:
            self.references += 1
            return tiny_policy(seed=self.reference_seed)

        return TrainingContext(
            phase, first, last, self.total_steps, seed, self.prompts, self.rollouts, reference,
            after_step or self.results.append,
        )

    def metrics(self) -> list[dict[str, float]]:
        """Everything but the clock."""
        return [
            {k: v for k, v in r.metrics.items() if not k.startswith("time/") and k != "step_time"}
            for r in self.results
        ]

