"""What runs chose, read from their folders once: which prompts, of what family, by which score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cropi.reports.arms import Arm
from cropi.reports.runs import Run
from cropi.rollouts.prompt_table import FILE_NAME as PROMPTS
from cropi.runtime.errors import DataError
from cropi.types import FloatArray

MOST_PHASES = 8  # of a run that are read: the first ones
MOST_ARMS = 12
NO_FAMILY = "no family"


@dataclass(frozen=True)
class Choice:
    """A phase of a run: prompts by number, and the scores of all and of the chosen, valid ones."""

    prompts: npt.NDArray[np.int64]  # [M]
    scores: FloatArray  # [N]
    chosen_scores: FloatArray  # [M']


class Selections:
    """Choices of some arms' runs, prompts numbered alike. ``limits`` says what was left out."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        having = [arm for arm in arms if _phases(arm.runs[0])]
        self.arms = having[:MOST_ARMS]
        longest = max((len(_phases(run)) for arm in self.arms for run in arm.runs), default=0)
        counts = ((MOST_ARMS, len(having), "rows"), (MOST_PHASES, longest, "phases"))
        cut = [f"the first {most} of {n} {what}" for most, n, what in counts if n > most]
        self.limits = f" Only {' and '.join(cut)} are shown." if cut else ""
        self._numbers: dict[str, int] = {}
        self._families: dict[int, str] = {}
        self.pools: dict[str, Counter[str]] = {}  # of every setting, by family, over runs
        self.choices: Mapping[Path, list[Choice]] = {
            run.folder: self._read(run) for arm in self.arms for run in arm.runs
        }

    def phases(self, arm: Arm) -> int:
        """How many phases all runs of the arm have."""
        return min(len(self.choices[run.folder]) for run in arm.runs)

    def families(self, arm: Arm, phase: int) -> Counter[str]:
        """How many prompts of each family were chosen, over all seeds."""
        return Counter(
            self._families.get(number, NO_FAMILY)
            for run in arm.runs for number in self.choices[run.folder][phase].prompts.tolist()
        )

    def overlaps(self, choices: Sequence[Choice]) -> FloatArray:
        """Jaccard index of every two of C choices [C, C]: shared over all that either holds."""
        member = np.zeros((len(choices), len(self._numbers)), dtype=np.float32)
        for row, choice in zip(member, choices, strict=True):
            row[choice.prompts] = 1.0
        shared = (member @ member.T).astype(np.float64)
        sizes = np.diag(shared)
        either = sizes[:, None] + sizes[None, :] - shared
        return np.divide(shared, either, out=np.ones_like(shared), where=either > 0)

    def _read(self, run: Run) -> list[Choice]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            self.pools.setdefault(run.setting, Counter()).update(self._pool(run.folder / PROMPTS))
            tables = [
                pq.read_table(path, columns=["prompt_id", "score", "valid", "selected"])
                for path in _phases(run)[:MOST_PHASES]
            ]
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DataError(f"{run.folder}: a selection cannot be read ({error})") from error
        found = []
        for table in tables:
            valid, chosen = (table[name].to_numpy() for name in ("valid", "selected"))
            ids = table["prompt_id"].filter(table["selected"]).to_pylist()
            numbers = np.array([self._number(name) for name in ids], dtype=np.int64)
            scores = table["score"].to_numpy().astype(np.float64)
            found.append(Choice(numbers, scores[valid], scores[valid & chosen]))
        return found

    def _number(self, prompt_id: str) -> int:
        return self._numbers.setdefault(prompt_id, len(self._numbers))

    def _pool(self, path: Path) -> Counter[str]:
        """Families of the pool's prompts; earlier runs of cropi did not keep them."""
        import pyarrow.parquet as pq

        if not path.is_file():
            return Counter()
        columns = ["id", "source", "family"]
        pool = pq.read_table(path, columns=columns, filters=[("set", "=", "train")]).to_pylist()
        for row in pool:
            family = (row["family"] or row["source"] or NO_FAMILY).split("/")[0]
            self._families[self._number(row["id"])] = family
        return Counter(self._families[self._number(row["id"])] for row in pool)


def _phases(run: Run) -> list[Path]:
    return sorted((run.folder / "phases").glob("*/scores.parquet"))
