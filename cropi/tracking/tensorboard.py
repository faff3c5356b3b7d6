"""TensorBoard event files inside the run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cropi.contracts import RunIdentity
from cropi.runtime.parts import part
from cropi.tracking.mirror import Mirror, require

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@part
class TensorBoard(Mirror):
    """Scalars under ``<run>/tensorboard``: ``tensorboard --logdir runs`` shows all runs.

    A resumed run opens a further event file that hides, from its first step on, what an earlier
    process had logged beyond the checkpoint.
    """

    def __post_init__(self) -> None:
        require("tensorboard", "tensorboard")

    def open(self, run: RunIdentity) -> None:
        self._run = run
        self._writer: SummaryWriter | None = None

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._writer is None:
            self._writer = self._writer_from(step)
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self, summary: Mapping[str, float]) -> None:
        if self._writer is not None:
            self._writer.close()

    def _writer_from(self, step: int) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(self._run.folder / "tensorboard"), purge_step=step)
        shown = json.dumps(dict(self._run.config), indent=2, default=str)
        writer.add_text("config", f"```json\n{shown}\n```", step)
        return writer
