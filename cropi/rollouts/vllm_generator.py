"""The place of generation with vLLM: its options are settled, its engine does not exist yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from cropi.contracts import Generator, PositiveInt, Request, Sampling
from cropi.policies.policy import Policy
from cropi.runtime.parts import part
from cropi.types import Trajectory


@part
class VLLM(Generator):
    """Refuses to be built, so that a run that asks for it stops before any work.

    The configuration composes (``--cfg job``), so presets for clusters can be written already.
    """

    memory_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    tensor_parallel: PositiveInt = 1

    def __post_init__(self) -> None:
        raise ValueError(
            "generation with vLLM is not part of this version; use rollout=transformers"
        )

    def generate(
        self, policy: Policy, requests: Sequence[Request], sampling: Sampling
    ) -> list[Trajectory]:
        raise AssertionError("unreachable: this part cannot be built")
