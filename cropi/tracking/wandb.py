"""Weights & Biases, online when it can be and offline when it cannot, without ever asking."""

from __future__ import annotations

import logging
import netrc
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from cropi.contracts import RunIdentity
from cropi.runtime.parts import part
from cropi.tracking.mirror import Mirror

Mode = Literal["online", "offline", "disabled"]

# A word of a tag -> the key whose value it tells.
TAGGED = {
    "seed": "seed", "alpha": "selector.alpha", "keep": "selector.projector.keep",
    "k": "selector.projector.k", "phases": "phases",
}  # fmt: skip
LONGEST_TAG, LONGEST_GROUP = 64, 128  # what W&B takes
FLUSH_SECONDS = 1.0

logger = logging.getLogger(__name__)


@part
class Wandb(Mirror):
    """One W&B run a run, found again by its id when resumed.

    Group, job type and tags are taken from the run, so that the curves of a sweep compare
    themselves: the group is the sweep (or benchmark and model), the job type is the selector.
    The mode is settled before ``wandb.init``, because a failed online start also spoils a later
    offline one in the same process (wandb#9865). Files go to ``<run>/wandb``; ``wandb sync``
    uploads an offline run.
    """

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "cropi"
    entity: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: list[str] = Field(default_factory=list)
    timeout: Annotated[float, Field(gt=0)] = 60.0

    def open(self, run: RunIdentity) -> None:
        import wandb

        self._run = wandb.init(
            project=self.project,
            entity=self.entity,
            group=self.group or group_of(run.config),
            job_type=self.job_type or run.config.get("choices.selector"),
            tags=list(dict.fromkeys([*self.tags, *tags_of(run.config)])),
            id=id_of(run),
            name=run.name,
            dir=str(run.folder),
            config=dict(run.config),
            mode=self.mode_now(),
            resume="allow",
            reinit="finish_previous",  # the jobs of a multirun share a process (wandb#2877)
            settings=wandb.Settings(
                console="off",
                silent=True,
                init_timeout=self.timeout,
                finish_timeout=self.timeout,
                **_flushed_often(wandb.Settings),
            ),
        )
        # W&B's own counter only moves forward and drops what is logged behind it (wandb#10628).
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log({"step": step, **metrics})

    def close(self, summary: Mapping[str, float]) -> None:
        try:
            self._run.summary.update(dict(summary))
        finally:
            # A run that is left by an exception is a failed one there too.
            self._run.finish(exit_code=0 if sys.exc_info()[0] is None else 1)

    def mode_now(self) -> Mode:
        wanted = self.mode if self.mode != "auto" else os.environ.get("WANDB_MODE", "auto")
        if wanted == "disabled":
            return "disabled"
        if wanted == "offline":
            return "offline"
        if has_key():
            return "online"
        if wanted == "online":
            logger.warning(
                "W&B has no API key (WANDB_API_KEY or `wandb login`), so the run is kept offline; "
                "`wandb sync` uploads it later"
            )
        return "offline"


def _flushed_often(settings: Any) -> dict[str, float]:
    """What a killed run leaves on disk is what was flushed; older releases have no such setting."""
    name = "x_transaction_log_flush_interval"
    return {name: FLUSH_SECONDS} if name in settings.model_fields else {}


def id_of(run: RunIdentity) -> str:
    """The run's own id, which ends in the hash of its science; resumed, it is the same curve.

    Under an agent of W&B Sweeps it is the agent's: the server waits for that one.
    """
    if os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"):
        return os.environ["WANDB_RUN_ID"]
    return run.run_id


def group_of(config: Mapping[str, Any]) -> str | None:
    """The sweep that the run is a job of; else ``<benchmark>-<model>``."""
    chosen = [config.get(f"choices.{name}") for name in ("benchmark", "model")]
    group = os.environ.get("CROPI_SWEEP") or "-".join(filter(None, chosen))
    return group[:LONGEST_GROUP] or None


def tags_of(config: Mapping[str, Any]) -> list[str]:
    """The chosen parts by name, and what is usually varied: ``["gsm8k", …, "alpha=0.1"]``."""
    chosen = [config.get(f"choices.{n}") for n in ("benchmark", "model", "selector", "trainer")]
    varied = [f"{word}={config[key]}" for word, key in TAGGED.items() if key in config]
    return [tag[:LONGEST_TAG] for tag in [*filter(None, chosen), *varied]]


def has_key() -> bool:
    """Whether W&B will find credentials in the environment or in ~/.netrc."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    server = os.environ.get("WANDB_BASE_URL")
    hosts = [urlsplit(server).netloc] if server else ["api.wandb.ai", "api.forge.coreweave.com"]
    named = os.environ.get("NETRC")
    files = [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for file in files:
        try:
            known = netrc.netrc(file)
        except (OSError, netrc.NetrcParseError):
            continue  # absent or unreadable: W&B could not use it either
        if any(known.authenticators(host) for host in hosts):
            return True
    return False
