"""DAPO's soft punishment of responses that come close to the longest one allowed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropi.types import FloatArray


@dataclass(frozen=True)
class Overlong:
    """0 up to ``longest - buffer`` tokens, then in a straight line to ``-penalty`` at ``longest``.

    DAPO 2503.14476, eq. 13, whose L_max is ``longest``. ``buffer=0`` takes nothing.
    """

    longest: int
    buffer: int
    penalty: float

    def penalties(self, lengths: npt.NDArray[np.int64]) -> FloatArray:
        """What is added to each reward: lengths int [N] in tokens; float64 [N], <= 0."""
        if self.buffer == 0:
            return np.zeros(len(lengths))
        excess = np.clip(lengths - (self.longest - self.buffer), 0, self.buffer)
        return -self.penalty * excess / self.buffer
