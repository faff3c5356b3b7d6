"""The prompts whose stored groups have a gradient, and why the others have none."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropi.influence.prepared import Prepared, prepare, repeated_share
from cropi.types import BoolArray, FloatArray, Group


@dataclass(frozen=True)
class Candidates:
    """``ready[i]`` belongs to place ``places[i]`` of the list of N prompts it was made from."""

    ready: tuple[Prepared, ...]
    places: npt.NDArray[np.int64]
    size: int
    left_out: Mapping[str, int]  # reason -> prompts

    @classmethod
    def of(cls, ids: Sequence[str], groups: Mapping[str, Group]) -> Candidates:
        """A prompt without a group is left out as ``no rollouts``; equal rewards always are.

        A KL term gives those a gradient too, but it teaches nothing about the task, and while the
        policy is still the trajectories' own, rounding alone decides where it points.
        """
        ready: list[Prepared] = []
        places: list[int] = []
        reasons: Counter[str] = Counter()
        for place, prompt_id in enumerate(ids):
            group = groups.get(prompt_id)
            found = "no rollouts" if group is None else prepare(group)
            if isinstance(found, str):
                reasons[found] += 1
            else:
                ready.append(found)
                places.append(place)
        return cls(tuple(ready), np.array(places, dtype=np.int64), len(ids), dict(reasons))

    def spread(self, values: npt.ArrayLike) -> FloatArray:
        """[n] numbers of the candidates as [N], NaN for the others."""
        column = np.full(self.size, np.nan)
        column[self.places] = values
        return column

    def masked(
        self, values: FloatArray, usable: BoolArray
    ) -> tuple[FloatArray, BoolArray]:
        """The candidates' [n] scores as [N], and which of them are valid: 0 where none is."""
        valid = np.zeros(self.size, dtype=bool)
        valid[self.places] = usable
        return np.where(valid, self.spread(values), 0.0), valid

    def digest(self) -> str:
        """Of everything a gradient depends on but the policy (16 hexadecimal digits)."""
        digest = hashlib.sha256()
        for group in self.ready:
            digest.update(f"{group.prompt_id} {group.temperature} {group.mask.shape}".encode())
            parts = [group.prompt, *group.responses, group.response_of, group.behaviour,
                     group.mask, group.rewards, group.correctness]  # fmt: skip
            for part in parts:
                digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:16]

    def metrics(self) -> dict[str, float]:
        """Shares of the N prompts that are masked and why; of trajectories that repeat another."""
        shares = {
            f"masked_share/{reason.replace(' ', '_')}": count / max(self.size, 1)
            for reason, count in sorted(self.left_out.items())
        }
        return {
            "masked_share": 1.0 - len(self.ready) / max(self.size, 1),
            **shares,
            "repeated_share": repeated_share(self.ready),
        }

    def __str__(self) -> str:
        why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.left_out.items()))
        return f"{len(self.ready):,} of {self.size:,} prompts" + (f" (not {why})" if why else "")
