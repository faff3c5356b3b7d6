"""Fixtures for the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def _one_thread_and_no_network() -> None:
    """One torch thread (two cores, bit-equal reductions) and no hub or tracker on the network."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real GSM8K, MATH, SVAMP, MAWPS and OlympiadBench files."""
    folder = Path(os.environ.get("CROPI_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set CROPI_DATA to run this test")
    return folder
