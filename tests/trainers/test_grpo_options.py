"""The options of the trainer: what is refused, and that the files hold what the class does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cropi.contracts import Sampling, Trainer
from cropi.runtime.errors import ConfigError
from cropi.runtime.parts import build, options_of
from cropi.trainers.grpo import GRPO

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": Sampling(temperature=0.0)}, "greedy"),
        ({"prompts_per_step": 4, "mini_batches": 5}, "whole groups"),
        ({"samples_per_prompt": 1}, "greater than or equal to 2"),
        ({"clip_low": 1.1}, "less than or equal to 1"),
        ({"ratio": "sequence", "loss": "dapo"}, "needs loss=grpo"),
        ({"overlong_buffer": 9999}, "longer than a response may be"),
        ({"sampler_correction_low": 3.0}, "must not be above"),
        ({"loss": "ppo"}, "grpo"),
        ({"learning_rate": 0.0}, "greater than 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GRPO(**options)


def node(name: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        root = compose(overrides=[f"+trainer={name}", "+benchmark.max_new_tokens=9"])
    resolved: dict[str, Any] = OmegaConf.to_container(root, resolve=True)["trainer"]
    return resolved


@pytest.mark.parametrize("name", ["grpo", "dapo", "dr_grpo", "gspo", "cispo", "rloo"])
def test_each_file_holds_every_option(name: str) -> None:
    assert [*node(name)] == ["_target_", *options_of(GRPO)]
    built = build(node(name), Trainer, "trainer")
    assert isinstance(built, GRPO)
    assert built.sampling.max_new_tokens == 9


def test_the_files_differ_only_where_the_methods_do() -> None:
    base = node("grpo")
    defaults = GRPO()
    for option in options_of(GRPO):
        if option != "sampling":
            assert base[option] == getattr(defaults, option)

    def changed(name: str) -> dict[str, Any]:
        return {k: v for k, v in node(name).items() if v != base[k]}

    assert changed("dr_grpo") == {"loss": "dr_grpo", "scale_rewards": "none"}
    assert changed("dapo") == {
        "loss": "dapo", "clip_high": 0.28, "dynamic_sampling_rounds": 3, "truncated": "mask"
    }
    assert changed("gspo") == {"ratio": "sequence", "clip_low": 3e-4, "clip_high": 4e-4}
    assert changed("cispo") == {
        "loss": "dapo", "surrogate": "cispo", "clip_low": 1.0, "clip_high": 4.0
    }
    assert changed("rloo") == {
        "loss": "dr_grpo", "baseline": "leave_one_out", "scale_rewards": "none"
    }


def test_a_mistake_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.clip_lo: .*did you mean \"clip_low\""):
        build(node("grpo") | {"clip_lo": 0.1}, Trainer, "trainer")
