"""Weights & Biases, online when it can be and offline when it cannot, without ever asking."""

from __future__ import annotations

import logging
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from cropi.contracts import RunIdentity
from cropi.runtime.parts import part
from cropi.tracking.mirror import Mirror

Mode = Literal["online", "offline", "disabled"]

logger = logging.getLogger(__name__)


@part
class Wandb(Mirror):
    """One W&B run a run, found again by its id when resumed.

    The mode is settled before ``wandb.init``, because a failed online start also spoils a later
    offline one in the same process (wandb#9865). Files go to ``<run>/wandb``; ``wandb sync``
    uploads an offline run.
    """

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "cropi"
    entity: str | None = None
    group: str | None = None
    tags: list[str] = Field(default_factory=list)
    timeout: Annotated[float, Field(gt=0)] = 60.0

    def open(self, run: RunIdentity) -> None:
        import wandb

        self._run = wandb.init(
            project=self.project,
            entity=self.entity,
            group=self.group,
            tags=self.tags,
            id=run.run_id,
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
            self._run.finish()

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
