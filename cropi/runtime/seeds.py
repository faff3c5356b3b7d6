"""One seed stream per purpose.

A stream is named, not shared: ``derive(seed, "train_rollout", step)`` depends on nothing but its
arguments, so adding a random draw in one place moves no other, and a resumed run needs no
generator state to continue bit for bit.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed from the run's seed and the stream's name. ``seed=0`` is a seed like any."""
    text = "/".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator for the named stream (Philox: counter-based, the same on every machine)."""
    return np.random.Generator(np.random.Philox(key=derive(seed, *names)))
