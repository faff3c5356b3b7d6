"""What a run remembers: metrics, costs, and how far it got.

``state.json`` is the one place that says what is done. It names the checkpoint to continue from
and the length the metrics file had then; whatever a killed process wrote after its last commit is
forgotten and done again, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cropi.contracts import Tracker
from cropi.runtime.errors import CropiError
from cropi.runtime.files import read_json, write_json
from cropi.tracking.metrics_file import FILE_NAME, Kind, MetricsFile
from cropi.types import Cost

STATE, PHASES = "state.json", "phases"


@dataclass
class Progress:
    """How far the run got, as of its last commit."""

    step: int = 0  # optimizer steps done
    evaluated: int = -1  # last step evaluated
    selected: int = -1  # last phase whose selection is written
    rolled_out: bool = False  # the offline rollouts are drawn and charged
    checkpoint: str | None = None  # folder with the weights after `step` steps; None is the start


class Journal:
    """Records metrics (to the file and its mirrors), adds up costs, commits progress."""

    def __init__(self, folder: Path, trackers: Sequence[Tracker]) -> None:
        self.folder = folder
        self.trackers = trackers
        self.metrics = MetricsFile(folder / FILE_NAME)
        self.progress = Progress()
        self.cost = Cost()
        self.latest: dict[str, float] = {}  # the last value of every evaluation metric
        path = folder / STATE
        if path.exists():
            state = read_json(path)
            try:
                self.progress = Progress(**state["progress"])
                self.cost = Cost(state["cost"])
                self.latest = state["latest"]
                self.metrics.truncate(state["metrics_offset"])
            except (KeyError, TypeError) as error:
                raise CropiError(
                    f"{path} was written by another version of cropi; "
                    f"move {folder} away to start anew"
                ) from error
        else:
            self.metrics.truncate(0)

    def phase_folder(self, phase: int) -> Path:
        """Where a phase (counted from 0) keeps its files."""
        return self.folder / PHASES / f"{phase:03d}"

    def spend(self, cost: Cost) -> None:
        """Charge the run. Every second and token of a part ends up here."""
        self.cost = self.cost + cost

    def record(self, kind: Kind, step: int, phase: int, metrics: Mapping[str, float]) -> None:
        """Write one record with the cost so far, and mirror it."""
        if kind == "evaluation":
            self.latest.update(metrics)
        whole = {**metrics, **self.cost.flat()}
        self.metrics.append(step, phase, kind, whole)
        for tracker in self.trackers:
            tracker.log(step, {**whole, "phase": phase})

    def commit(self) -> None:
        """From here the run continues, should it be killed."""
        write_json(self.folder / STATE, {
            "progress": asdict(self.progress),
            "metrics_offset": self.metrics.offset(),
            "cost": self.cost.amounts,
            "latest": self.latest,
        })
