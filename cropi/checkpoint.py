"""Saving and restoring everything the next step depends on."""

from __future__ import annotations

import shutil
from pathlib import Path

from cropi.journal import Journal, Progress
from cropi.policies.policy import Policy
from cropi.runtime.files import read_json, replace_folder, write_json
from cropi.settings import Parts

CHECKPOINTS = "checkpoints"
SELECTOR = "selector.json"


def save(folder: Path, journal: Journal, policy: Policy, parts: Parts, *, keep: bool) -> None:
    """Write weights, trainer and selector, then commit; the earlier checkpoint goes last.

    With ``keep`` the weights also stay in ``policies/`` for good.
    """
    progress = journal.progress
    name = f"step-{progress.step:06d}"
    target = folder / CHECKPOINTS / name
    part = target.with_name(name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    policy.save_weights(part)
    parts.trainer.save(part, policy)
    write_json(part / SELECTOR, parts.selector.state_dict())
    replace_folder(part, target)
    if keep:
        policy.save_weights(folder / "policies" / name)
    progress.checkpoint = f"{CHECKPOINTS}/{name}"
    journal.commit()
    for other in (folder / CHECKPOINTS).iterdir():
        if other != target:
            shutil.rmtree(other)


def restore(folder: Path, progress: Progress, policy: Policy, parts: Parts) -> None:
    """Bring policy, trainer and selector to where the last commit was; a fresh run is left be."""
    if progress.checkpoint is None:
        return
    source = folder / progress.checkpoint
    policy.load_weights(source)
    parts.trainer.load(source, policy)
    parts.selector.load_state_dict(read_json(source / SELECTOR))
