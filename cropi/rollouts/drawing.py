"""Drawing graded groups: template, generate, verify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cropi.contracts import Generator, Request, Sampling, Verifier
from cropi.policies.policy import Policy
from cropi.runtime.errors import CropiError
from cropi.runtime.seeds import derive
from cropi.types import Group, Prompt


@dataclass(frozen=True)
class Drawing:
    """Binds a generator and a verifier to the run's seed (the ``Rollouts`` contract).

    Each trajectory's random stream is named by the call's stream, its prompt's id, how often the
    prompt has come up in the call, and the sample's number: neither the order of the prompts nor
    the sharding changes what is drawn.
    """

    generator: Generator
    verifier: Verifier
    seed: int

    def __call__(
        self,
        policy: Policy,
        prompts: Sequence[Prompt],
        *,
        samples: int,
        sampling: Sampling,
        stream: tuple[str | int, ...],
    ) -> list[Group]:
        """One graded group of ``samples`` trajectories a prompt, in the order given."""
        encoded = [policy.encode(prompt) for prompt in prompts]
        seen: Counter[str] = Counter()
        requests: list[Request] = []
        for prompt, token_ids in zip(prompts, encoded, strict=True):
            base = derive(self.seed, *stream, prompt.id, seen[prompt.id])
            seen[prompt.id] += 1
            requests += [Request(prompt.id, token_ids, base ^ k) for k in range(samples)]
        drawn = self.generator.generate(policy, requests, sampling)
        verdicts = self.verifier.verify_all([
            (trajectory.text, prompts[i // samples]) for i, trajectory in enumerate(drawn)
        ])
        if len(verdicts) != len(drawn):  # one for all must not pass for one each (trl#6533)
            raise CropiError(
                f"{type(self.verifier).__name__} gave {len(verdicts)} verdicts on {len(drawn)} "
                f"completions; verify_all must give one each, in order"
            )
        graded = [replace(t, verdict=v) for t, v in zip(drawn, verdicts, strict=True)]
        return [
            Group(
                prompt.id,
                np.asarray(token_ids, dtype=np.int32),
                tuple(graded[i * samples : (i + 1) * samples]),
                sampling.temperature,
            )
            for i, (prompt, token_ids) in enumerate(zip(prompts, encoded, strict=True))
        ]


def tokens_generated(groups: Sequence[Group]) -> int:
    """Completion tokens of all trajectories."""
    return sum(len(t.token_ids) for g in groups for t in g.trajectories)
