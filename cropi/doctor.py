"""``cropi doctor``: is this machine ready? Each finding that is not good names its remedy.

Nothing of cropi that could be broken is imported before it is examined.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from packaging.requirements import Requirement

ANTLR = "antlr4-python3-runtime"
LITTLE_DISK = 5 * 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the examination. Only ``bad`` makes cropi unusable."""

    state: Literal["good", "note", "bad"]
    what: str
    remedy: str = ""


def examine() -> int:
    """Print every finding; 1 when something needed is broken, else 0."""
    worst = 0
    marks = {"good": "ok  ", "note": "note", "bad": "BAD "}
    for finding in findings():
        print(f"{marks[finding.state]}  {finding.what}", flush=True)
        if finding.remedy:
            print(f"      -> {finding.remedy}", flush=True)
        worst |= finding.state == "bad"
    print("\nsomething needed is broken" if worst else "\nready")
    return int(worst)


def findings() -> Iterator[Finding]:
    """All findings, cheap ones first."""
    yield _python()
    yield from _requirements()
    yield _antlr()
    yield _baselines()
    yield from _extras()
    yield from _devices()
    yield _folder("runs", Path("runs"), "runs=FOLDER")
    cache = os.environ.get("CROPI_CACHE") or "~/.cache/cropi"
    yield _folder("cache", Path(cache).expanduser(), "cache=FOLDER, or CROPI_CACHE")
    yield _wandb()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("good", f"Python {version}")
    return Finding("bad", f"Python {version} is not supported", "use Python 3.11, 3.12 or 3.13")


def _requirements() -> Iterator[Finding]:
    """What pyproject.toml pins, against what is installed."""
    for requirement in _declared(extra=None):
        yield _installed(requirement.name, str(requirement.specifier), needed=True)


def _installed(name: str, wanted: str, *, needed: bool) -> Finding:
    from packaging.specifiers import SpecifierSet

    remedy = f"pip install '{name}{wanted}'"
    state: Literal["bad", "note"] = "bad" if needed else "note"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(state, f"{name} is not installed", remedy)
    if not SpecifierSet(wanted).contains(version, prereleases=True):
        return Finding(state, f"{name} {version}, but {wanted} is needed", remedy)
    return Finding("good", f"{name} {version}")


def _declared(extra: str | None) -> list[Requirement]:
    """The requirements of cropi itself, or of one of its extras."""
    from packaging.requirements import Requirement

    found = [Requirement(line) for line in metadata.requires("cropi") or []]
    return [
        requirement for requirement in found
        if (extra is None and requirement.marker is None)
        or (extra and requirement.marker and requirement.marker.evaluate({"extra": extra}))
    ]  # fmt: skip


def _antlr() -> Finding:
    """Hydra 1.3 reads overrides with 4.9 only; another version fails at its import."""
    remedy = f"pip install '{ANTLR}==4.9.3'"
    try:
        version = metadata.version(ANTLR)
    except metadata.PackageNotFoundError:
        return Finding("bad", f"{ANTLR} is not installed", remedy)
    if version.startswith("4.9."):
        return Finding("good", f"{ANTLR} {version}")
    pulled = ", ".join(_who_pins(ANTLR, version)) or "something installed since"
    return Finding(
        "bad",
        f"{ANTLR} {version}, but hydra-core 1.3 needs 4.9 (pulled in by {pulled})",
        f"{remedy}; keep what needs another version in its own environment",
    )


def _who_pins(name: str, version: str) -> list[str]:
    """Installed distributions whose requirement of ``name`` admits ``version`` but not 4.9.3."""
    from packaging.requirements import InvalidRequirement, Requirement

    found = []
    for distribution in metadata.distributions():
        for line in distribution.requires or []:
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue  # somebody else's metadata
            admits = requirement.specifier.contains
            if requirement.name.lower() == name and admits(version) and not admits("4.9.3"):
                found.append(str(distribution.metadata["Name"]))
    return sorted(set(found))


def _baselines() -> Finding:
    """An older package of another project has the same import name."""
    owners = sorted(set(metadata.packages_distributions().get("baselines", ["cropi"])))
    if owners == ["cropi"]:
        return Finding("good", "the package baselines is ours")
    others = ", ".join(name for name in owners if name != "cropi")
    return Finding("bad", f"the package baselines also comes from {others}",
                   f"pip uninstall {others}, then reinstall cropi")


def _extras() -> Iterator[Finding]:
    for extra in metadata.metadata("cropi").get_all("Provides-Extra") or []:
        if extra in ("dev", "cpu", "gpu"):  # how cropi itself is installed
            continue
        problems = [
            finding.what for requirement in _declared(extra)
            if (finding := _installed(requirement.name, str(requirement.specifier), needed=False))
            .state != "good"
        ]  # fmt: skip
        if problems:
            yield Finding("note", f"extra {extra}: {'; '.join(problems)}",
                          f"if you want it: pip install 'cropi[{extra}]'")
        else:
            yield Finding("good", f"extra {extra}")


def _devices() -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("bad", f"torch cannot be imported: {error}", "reinstall torch")
        return
    yield Finding("good", f"device cpu, {torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        name = torch.cuda.get_device_name(index)
        yield Finding("good", f"device cuda:{index}, {name}, {memory:.0f} GiB")
    if torch.cuda.device_count() == 0:
        built = torch.version.cuda or "no CUDA"
        yield Finding("note", f"no GPU is visible (torch is built for {built})",
                      "model=tiny and model=smollm2_135m run on the CPU")


def _folder(label: str, folder: Path, key: str) -> Finding:
    folder = folder.absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding("bad", f"{label}: cannot write to {folder}", f"set {key}")
    free = shutil.disk_usage(existing).free
    if free < LITTLE_DISK:
        return Finding("note", f"{label}: {folder} has {free / 2**30:.1f} GiB left",
                       f"set {key} to a larger disk")
    return Finding("good", f"{label}: {folder} ({free / 2**30:.0f} GiB free)")


def _wandb() -> Finding:
    """Which mode tracker=wandb would choose. The key itself is never read out."""
    try:
        from cropi.tracking.wandb import Wandb, has_key
    except ImportError as error:
        return Finding("note", f"W&B cannot be asked: {error}", "tracker=none runs without it")
    key = "an API key is set" if has_key() else "no API key is set"
    mode = Wandb().mode_now()
    remedy = "" if has_key() else "to upload as you go: `wandb login` or WANDB_API_KEY"
    return Finding("good" if has_key() else "note", f"W&B: {key}, runs are {mode}", remedy)
