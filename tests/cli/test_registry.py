"""Every class has its YAML, every YAML its class, and everything composes with everything."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

import baselines
import cropi
from cropi import catalogue
from cropi.composition import compose
from cropi.configuration import assemble, contracts
from cropi.contracts import Source
from cropi.policies.pretrained import Lora
from cropi.runtime.parts import Part, build, options_of

PRESETS = ("experiment", "debug")
OPTIONS = [
    option
    for group, named in catalogue.options().items()
    if group not in PRESETS
    for option in named.values()
]
every_option = pytest.mark.parametrize("option", OPTIONS, ids=lambda o: f"{o.group}={o.name}")


@cache
def expected() -> dict[str, type[Part]]:
    """The contract of every group, those of parts inside parts included."""
    return {**contracts(), "source": Source, "model/lora": Lora}


@cache
def composed(group: str, name: str) -> DictConfig:
    """One option as Hydra composes it, its missing values filled in."""
    node = compose([f"+{group}@probe={name}"]).probe
    for key in OmegaConf.missing_keys(node):
        OmegaConf.update(node, key, "placeholder")
    return node


def parts_in(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for child in node.values():
            yield from parts_in(child)
    elif isinstance(node, list):
        for child in node:
            yield from parts_in(child)


def located(target: str) -> type:
    module, _, name = target.rpartition(".")
    found: type = getattr(importlib.import_module(module), name)
    return found


@every_option
def test_option_builds_without_loading_anything(option: catalogue.Option) -> None:
    node = OmegaConf.to_container(composed(option.group, option.name), resolve=True)
    build(node, expected()[option.group], option.group)


@every_option
def test_keys_are_exactly_the_options_of_the_class(option: catalogue.Option) -> None:
    node = OmegaConf.to_container(composed(option.group, option.name), resolve=False)
    for part in parts_in(node):
        assert sorted({*part} - {"_target_"}) == sorted(options_of(located(part["_target_"])))


@every_option
def test_every_key_has_a_comment_and_the_file_a_description(option: catalogue.Option) -> None:
    assert option.text.startswith("# ")
    assert 10 < len(option.description) <= 100
    bare = [
        key.path
        for key in catalogue.keys(option.text)
        if not key.comment and key.path.split(".")[0] != "defaults"
        and not key.path.endswith("_target_")
    ]  # fmt: skip
    assert not bare, f"{option.path}: no comment above {bare}"


def test_every_root_key_has_a_comment() -> None:
    bare = [
        key.path
        for key in catalogue.keys(catalogue.root_text())
        if not key.comment and key.path.split(".")[0] not in ("defaults", "hydra")
        and not key.path.endswith("_target_")
    ]  # fmt: skip
    assert not bare


def test_every_part_class_has_a_yaml() -> None:
    for package in (cropi, baselines):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name != "cropi.__main__":
                importlib.import_module(module.name)
    targets = {
        located(part["_target_"])
        for option in OPTIONS
        for part in parts_in(OmegaConf.to_container(composed(option.group, option.name)))
    }
    for contract in expected().values():
        for cls in [contract, *descendants(contract)]:
            ours = cls.__module__.partition(".")[0] in ("cropi", "baselines")
            if ours and not inspect.isabstract(cls):
                assert cls in targets, f"{cls.__module__}.{cls.__name__} has no YAML"


def descendants(cls: type) -> Iterator[type]:
    for child in cls.__subclasses__():
        # pydantic rebuilds a class with slots; what it replaced stays listed under its old name.
        if getattr(importlib.import_module(child.__module__), child.__name__, None) is child:
            yield child
        yield from descendants(child)


@pytest.mark.parametrize("preset", [
    f"{group}={name}" for group in PRESETS for name in catalogue.options().get(group, {})
])  # fmt: skip
def test_preset_composes_and_validates(preset: str) -> None:
    assemble(compose([preset]))


def test_default_composes_and_validates() -> None:
    assemble(compose())


def test_every_selector_trainer_model_and_benchmark_go_together() -> None:
    """Groups meet only in interpolations, so options are composed once and then combined."""
    groups = ("selector", "trainer", "model", "benchmark")
    names = [sorted(catalogue.options()[group]) for group in groups]
    base = compose()
    wholes = {g: {n: composed(g, n) for n in ns} for g, ns in zip(groups, names, strict=True)}
    for combination in itertools.product(*names):
        for group, name in zip(groups, combination, strict=True):
            base._set_item_impl(group, wholes[group][name])
        assemble(base)


def test_hydra_composes_what_the_combination_above_assumes(tmp_path: Path) -> None:
    """The shortcut gives what Hydra gives, on a sample of the grid."""
    options = catalogue.options()
    for group in ("selector", "trainer", "model", "benchmark"):
        name = sorted(options[group])[-1]
        assert compose([f"{group}={name}"])[group] == compose([f"+{group}@probe={name}"]).probe
