"""The tracker group as Hydra composes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cropi.contracts import Tracker
from cropi.runtime.parts import build, options_of

CONF = Path(__file__).resolve().parents[2] / "conf"


def composed(*overrides: str) -> Any:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=list(overrides))
    return OmegaConf.to_container(config.tracker, resolve=True)


@pytest.mark.parametrize("option", sorted(f.stem for f in (CONF / "tracker").glob("*.yaml")))
def test_each_option_builds_and_lists_exactly_its_class_options(option: str) -> None:
    node = composed(f"+tracker={option}")
    tracker = build(node, Tracker, "tracker")
    assert set(node) - {"_target_"} == set(options_of(type(tracker)))


def test_a_tracker_among_several_is_overridden_and_another_added() -> None:
    node = composed(
        "+tracker=several", "tracker.trackers.wandb.mode=offline",
        "+tracker@tracker.trackers.trackio=trackio",
    )
    assert list(node["trackers"]) == ["wandb", "tensorboard", "trackio"]
    assert node["trackers"]["wandb"]["mode"] == "offline"
    build(node, Tracker, "tracker")
