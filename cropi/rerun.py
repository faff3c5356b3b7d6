"""``cropi rerun``: a run once more, from the configuration that its manifest froze."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cropi.runtime.errors import ConfigError, CropiError
from cropi.runtime.files import read_json

MATTERS = ("python", "packages", "commit", "platform", "torch_threads")  # of an environment


def main(folder: Path, overrides: Sequence[str]) -> int:
    """Run it again, in ``runs/…/reruns`` unless ``runs=`` says otherwise; the exit code.

    0 when every metric came out the same, 1 when not. Presets may have changed since: they are not
    read. Raises ConfigError for overrides that would make it another experiment.
    """
    from cropi.run import MANIFEST, run_experiment
    from cropi.runtime.manifest import environment
    from cropi.tracking.metrics_file import FILE_NAME

    manifest = read_json(folder / MANIFEST)
    for line in changed(manifest["environment"], environment()):
        print(f"differs now: {line}", flush=True)
    config = frozen(manifest, folder, overrides)
    result = run_experiment(config, manifest["choices"])
    again = read_json(result.folder / MANIFEST)
    for what in ("data", "model"):
        if manifest.get(what) != again.get(what):
            print(f"differs now: the {what} (fingerprints in {result.folder / MANIFEST})")
    odd = different_metrics(folder / FILE_NAME, result.folder / FILE_NAME)
    print(result.folder)
    print("every metric is the same to the bit" if not odd else
          f"metrics differ from step {odd[0][0]} on, {odd[0][1]} first; see `cropi diff`")
    return int(bool(odd))


def frozen(manifest: Mapping[str, Any], folder: Path, overrides: Sequence[str]) -> Any:
    """The run's own science, with today's defaults for where and how it is run."""
    from omegaconf import OmegaConf

    from cropi.composition import compose
    from cropi.configuration import NOT_SCIENCE, resolved

    odd = [o for o in overrides if o.lstrip("+").partition("=")[0].split(".")[0] not in NOT_SCIENCE]
    if odd:
        raise ConfigError([
            f"{o}: would make it another experiment; a rerun only takes {', '.join(NOT_SCIENCE)}"
            for o in odd
        ])
    given = list(overrides)
    if not any(o.startswith("runs=") for o in given):
        given.append(f"runs={folder.absolute().parent / 'reruns'}")
    if not any(o.startswith("tracker=") for o in given):
        given.append("tracker=none")
    try:
        whole = {**resolved(compose(given)), **manifest["config"]}
    except KeyError as error:
        raise CropiError(f"{folder}: its manifest has no configuration") from error
    config = OmegaConf.create(whole)
    OmegaConf.set_struct(config, True)
    return config


def changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of an environment can change a result, and did."""
    found = []
    for key in MATTERS:
        before, after = was.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += [
                f"{name} {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
                for name in sorted({*before, *after}) if before.get(name) != after.get(name)
            ]
        elif before != after:
            found.append(f"{key} {before} -> {after}")
    return found


def different_metrics(ours: Path, theirs: Path) -> list[tuple[int, str]]:
    """(step, metric) of every value that is not the same, times aside, in order."""
    from cropi.tracking.metrics_file import read_metrics

    tables = []
    for path in (ours, theirs):
        table: dict[tuple[int, str, str], float] = {}
        for record in read_metrics(path):
            for name, value in record.metrics.items():
                if "seconds" not in name and "time" not in name:
                    table[record.step, record.kind, name] = value
        tables.append(table)
    one, other = tables
    return [
        (step, name) for step, kind, name in sorted({*one, *other})
        if one.get((step, kind, name)) != other.get((step, kind, name))
    ]
