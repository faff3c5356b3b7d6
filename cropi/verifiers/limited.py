"""The options of every verifier that works in processes which can be stopped."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cropi.contracts import PositiveInt
from cropi.runtime.parts import Part, part
from cropi.verifiers.isolation import Workers


@part
class Limited(Part):
    """How many processes, and what one job may spend in them.

    A verifier calls ``start_with`` once with the function that its processes run.
    """

    workers: PositiveInt = 2
    cpu_seconds: Annotated[float, Field(gt=0.0)] = 5.0
    wall_seconds: Annotated[float, Field(gt=0.0)] = 120.0
    megabytes: Annotated[int, Field(ge=512)] = 2048

    def start_with(self, function: str) -> None:
        """Name the function (``"module:name"``); its processes start at the first job.

        Raises ValueError when the elapsed time would end before the processor's.
        """
        if self.wall_seconds < self.cpu_seconds:
            raise ValueError("wall_seconds must not be less than cpu_seconds")
        self._processes = Workers(
            function, slots=self.workers, cpu_seconds=self.cpu_seconds,
            wall_seconds=self.wall_seconds, megabytes=self.megabytes,
        )  # fmt: skip

    def close(self) -> None:
        self._processes.close()
