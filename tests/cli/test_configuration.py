"""Settings, parts and the hash of the science."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from cropi.composition import compose
from cropi.configuration import assemble, science, science_hash
from cropi.contracts import Selector, Tracker, Verifier
from cropi.runtime.errors import ConfigError


@cache
def default_hash() -> str:
    return science_hash(compose())


def test_settings_are_typed_and_folders_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # hydra_ux.md, failure 19: relative to where cropi was called, whatever happens later
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROPI_CACHE", raising=False)
    settings, parts = assemble(compose(["runs=here", "seed=3", "offline.sampling.temperature=1"]))
    assert settings.runs == tmp_path / "here"
    assert settings.cache == Path("~/.cache/cropi").expanduser()
    assert settings.seed == 3
    assert settings.offline.sampling.temperature == 1.0
    assert isinstance(parts.selector, Selector)
    assert isinstance(parts.verifier, Verifier)
    assert all(isinstance(tracker, Tracker) for tracker in parts.trackers)


def test_cache_from_the_environment_yields_to_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROPI_CACHE", str(tmp_path))
    assert assemble(compose())[0].cache == tmp_path
    assert assemble(compose(['cache="~/mine"']))[0].cache == Path.home() / "mine"


def test_seed_zero_is_kept() -> None:
    assert assemble(compose(["seed=0"]))[0].seed == 0


@pytest.mark.parametrize("override", [
    "runs=elsewhere", "name=mine", "cache=elsewhere", "progress=plain", "tracker=none",
    "checkpoint_every=7", "keep_phase_policies=true", "seed=0", "selector.alpha=1e-1",
    "workers=2", "keep_gradients=true",
])  # fmt: skip
def test_hash_ignores_what_changes_no_result(override: str) -> None:
    assert science_hash(compose([override])) == default_hash()


@pytest.mark.parametrize("override", [
    "seed=1", "phases=4", "offline.samples=9", "selector.alpha=0.2", "selector=full",
    "benchmark.max_new_tokens=7", "offline.sampling.top_k=5",
])  # fmt: skip
def test_hash_follows_the_science(override: str) -> None:
    assert science_hash(compose([override])) != default_hash()


@pytest.mark.parametrize("override", [
    "projector=columns", "projector.keep=0.2", "engine=reference", "engine.batch_tokens=512",
])  # fmt: skip
def test_hash_follows_projector_and_engine_where_they_are_used(override: str) -> None:
    assert science_hash(compose(["selector=cropi", override])) != default_hash()
    unused = science_hash(compose(["selector=full", override]))
    assert unused == science_hash(compose(["selector=full"]))
    assert not {"projector", "engine"} & science(compose(["selector=cropi"])).keys()


def test_hash_is_of_values_not_of_spelling() -> None:
    one = OmegaConf.create({"a": 1, "b": {"c": [1.0, "x"]}, "d": "${a}"})
    two = OmegaConf.create({"b": {"c": [1, "x"]}, "d": 1, "a": 1.0})
    assert science_hash(one) == science_hash(two)
    # sha256 of {"a":1,"b":{"c":[1,"x"]},"d":1}
    assert science_hash(one) == "a0b4dc1c"
    assert science_hash(OmegaConf.create({**one, "a": "1"})) != science_hash(one)


def test_science_is_resolved_and_without_hydra() -> None:
    values = science(compose())
    assert values["offline"]["sampling"]["max_new_tokens"] == values["benchmark"]["max_new_tokens"]
    assert not {"hydra", "runs", "tracker", "name"} & set(values)


def test_mistakes_of_all_groups_come_together() -> None:
    cfg = compose()
    OmegaConf.set_struct(cfg, False)
    cfg.selector.alpha = 2
    cfg.seed = -1
    cfg.trainer = None
    cfg.surplus = 1
    del cfg["model"]
    with pytest.raises(ConfigError) as caught:
        assemble(cfg)
    assert sorted(problem.partition(":")[0] for problem in caught.value.problems) == [
        "model", "seed=-1", "selector.alpha=2", "surplus", "trainer",
    ]  # fmt: skip


def test_a_mistake_in_a_borrowed_part_is_told_once_by_the_key_that_was_typed() -> None:
    cfg = compose(["selector=cropi", "projector.keep=2", "engine.batch_tokens=0", "seed=-1"])
    with pytest.raises(ConfigError) as caught:
        assemble(cfg)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "seed=-1", "projector.keep=2", "engine.batch_tokens=0"
    ]  # fmt: skip
    assert "(Share of the coordinates to keep" in caught.value.problems[1]
    with pytest.raises(ConfigError, match=r"did you mean \"projector\.keep\""):
        compose(["selector=cropi", "selector.projector.keep=0.5"])


def test_a_mistake_in_a_selector_s_own_projector_is_told_there() -> None:
    cfg = compose(["selector=cropi"])
    own = {"_target_": "cropi.projectors.sparse.Sparse", "keep": 2.0}
    OmegaConf.update(cfg, "selector.projector", own, merge=False, force_add=True)
    with pytest.raises(ConfigError) as caught:
        assemble(cfg)
    (problem,) = caught.value.problems
    assert problem.startswith("selector.projector.keep=2.0: ")


def test_all_missing_values_are_listed_with_an_example(tmp_path: Path) -> None:
    cfg = compose(["seed=???", "model=hugging_face"])
    with pytest.raises(ConfigError) as caught:
        assemble(cfg)
    first, second = caught.value.problems
    assert first.startswith("model.path: needs a value; add model.path=VALUE (")
    assert second.startswith("seed: needs a value; add seed=VALUE (Root of every random stream.")
