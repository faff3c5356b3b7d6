"""What the selectors by influence share: the options of the gradients they compare."""

from __future__ import annotations

import tempfile
from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from cropi.contracts import Projector, SelectionContext, Selector, Share
from cropi.influence.candidates import Candidates
from cropi.influence.engine import Engine
from cropi.influence.estimator import Estimator
from cropi.influence.measuring import Measuring
from cropi.influence.precondition import Precondition
from cropi.influence.scoring import Recipe
from cropi.runtime.errors import CropiError
from cropi.runtime.parts import part
from cropi.types import Group, Prompt

Damping = Annotated[float, Field(gt=0.0)]


@part
class InfluenceSelector(Selector, ABC):
    """Everything that decides what a prompt's gradient is; scores are each selector's own."""

    alpha: Share = 0.1
    refresh: Literal["once", "phase"] = "phase"
    projector: Projector
    engine: Engine
    estimator: Estimator = Field(default_factory=Estimator)
    precondition: Precondition = "none"
    damping: Damping = 1e-3

    @contextmanager
    def measuring(self, context: SelectionContext, **options: Any) -> Iterator[Measuring]:
        """In the phase's ``gradients`` folder, or in a temporary one without a phase."""
        recipe = Recipe(self.engine, self.projector, self.estimator)
        if context.folder is not None:
            yield Measuring(recipe, context, context.folder / "gradients", **options)
        else:
            with tempfile.TemporaryDirectory(prefix="cropi-") as folder:
                yield Measuring(recipe, context, Path(folder), **options)

    def candidates(self, pool: Sequence[Prompt], groups: Mapping[str, Group]) -> Candidates:
        """The prompts with a gradient. Raises CropiError when there is none."""
        found = Candidates.of([prompt.id for prompt in pool], groups)
        if not found.ready:
            raise CropiError(
                f"no prompt has a gradient: {found}; sample hotter or more often "
                f"(offline.sampling.temperature, offline.samples), or use an easier pool"
            )
        return found
