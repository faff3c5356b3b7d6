"""What a trainer writes down so that a resumed run goes on bit for bit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cropi.runtime.errors import CropiError
from cropi.runtime.files import read_json, write_atomically, write_json
from cropi.trainers.optimizer import MasterAdamW

STATE = "trainer.safetensors"
PROGRESS = "trainer.json"


@dataclass
class Progress:
    """Where training stands; with the optimizer's state, all that the next step depends on."""

    step: int = 0  # done, over all phases
    phase: int = -1  # of the last step
    drawn: int = 0  # prompts taken in that phase, so the place in its order
    num_tokens: int = 0  # prompt and completion tokens of all groups so far
    truncated_steps: int = 0  # in a row, with every completion truncated


def save_state(folder: Path, progress: Progress, optimizer: MasterAdamW) -> None:
    """Moments, counters and master weights by parameter name, and the progress."""
    write_atomically(folder / STATE, lambda path: save_file(optimizer.state(), path))
    write_json(
        folder / PROGRESS, {"progress": asdict(progress), "parameters": optimizer.shapes()}
    )


def load_state(folder: Path, optimizer: MasterAdamW) -> Progress:
    """Fill ``optimizer`` from ``folder``; returns the progress.

    Raises CropiError when the files are damaged or belong to another model.
    """
    try:
        saved = read_json(folder / PROGRESS)
        state = load_file(folder / STATE)
        progress = Progress(**saved["progress"])
        theirs = dict(saved["parameters"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CropiError(
            f"{folder}: the trainer's state cannot be read: {error!r}. "
            f"Delete this checkpoint to continue from the one before"
        ) from error
    ours = optimizer.shapes()
    for name in sorted({*theirs, *ours}):
        if theirs.get(name) != ours.get(name):
            raise CropiError(
                f"{folder / PROGRESS} belongs to another model: parameter {name} has shape "
                f"{theirs.get(name)} there and {ours.get(name)} here"
            )
    optimizer.load(state)
    return progress
