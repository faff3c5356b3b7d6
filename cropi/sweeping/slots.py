"""How many jobs run at once, and which part of the machine each gets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cropi.settings import Jobs


def slots_of(options: Jobs) -> int:
    """``auto`` is one a GPU, else one."""
    return max(1, gpu_count()) if options.slots == "auto" else options.slots


def gpu_count() -> int:
    """GPUs that this process may use, without loading what could use them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def places(slots: int, gpus: int, cores: int) -> list[Mapping[str, str]]:
    """The environment of each slot: its own GPU where there are enough, its share of the cores."""
    if slots == 1:
        return [{}]
    found: list[Mapping[str, str]] = []
    for slot in range(slots):
        threads = {} if "OMP_NUM_THREADS" in os.environ else {
            "OMP_NUM_THREADS": str(max(1, cores // slots))
        }
        found.append({**threads, **({"CUDA_VISIBLE_DEVICES": str(slot % gpus)} if gpus else {})})
    return found
