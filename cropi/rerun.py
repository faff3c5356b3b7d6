"""``cropi rerun``: a run once more, from the configuration that its manifest froze.

Presets may have changed since: they are not read. What differs now is told before it starts, and
afterwards whether anything came out differently.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cropi.runtime.errors import ConfigError, CropiError
from cropi.runtime.files import read_json

MATTERS = ("python", "packages", "commit", "platform", "devices", "torch_threads")
FINGERPRINTS = ("data", "data_report", "label_noise", "model")
# How and where a run is done; anything else would make it another experiment.
OURS_TO_SET = (
    "runs", "name", "cache", "progress", "tracker", "checkpoint_every", "keep_phase_policies",
    "keep_gradients", "workers",
)  # fmt: skip
RUNS = "reruns"
# A metric that no two runs share: cost/training/seconds, time/update, step_time.
TIMES = re.compile(r"(^|[/_])(seconds|time)($|[/_])")


def main(folder: Path, overrides: Sequence[str]) -> int:
    """Run it again, in ``reruns/`` unless ``runs=`` says otherwise.

    The exit code: 0 when every metric came out the same to the bit, 1 when not. Raises ConfigError
    for overrides that would make it another experiment, CropiError where the run itself would be
    overwritten.
    """
    from cropi.configuration import assemble, science_hash
    from cropi.outcome import log_to_console, user_modules_are_importable
    from cropi.run import MANIFEST, RESULT, run_experiment, run_name

    manifest = read_json(folder / MANIFEST)
    config = frozen(manifest, folder, overrides)
    user_modules_are_importable()
    log_to_console()
    settings, parts = assemble(config)
    target = settings.runs / run_name(settings, manifest["choices"], science_hash(config))
    if target.resolve() == folder.resolve():
        raise CropiError(f"{folder}: would be overwritten by its own rerun; set runs=FOLDER")
    if (target / RESULT).exists():
        print(f"was run again before; for once more, move {target} away or set runs=FOLDER")
    else:
        _keep_threads(manifest)
        for line in differences(manifest, _now(settings, parts)):
            print(f"differs now: {line}", flush=True)
        print(f"running again in {target}", flush=True)
    result = run_experiment(config, manifest["choices"])
    print(result.folder)
    return _verdict(folder, result.folder)


def frozen(manifest: Mapping[str, Any], folder: Path, overrides: Sequence[str]) -> Any:
    """The run's own science, with today's defaults for where and how it is run."""
    from omegaconf import OmegaConf

    from cropi.composition import compose
    from cropi.configuration import BORROWED, NOT_SCIENCE, resolved

    problems = [
        f"{line}: would make it another experiment; a rerun takes only {', '.join(OURS_TO_SET)}"
        for line in overrides
        if line.lstrip("+").partition("=")[0].partition(".")[0] not in OURS_TO_SET
    ]
    if problems:
        raise ConfigError(problems)
    if not isinstance(manifest.get("config"), Mapping) or "environment" not in manifest:
        raise CropiError(f"{folder}: its manifest says too little to run it again")
    given = {"runs": RUNS, "name": f"{folder.name.rpartition('-')[0]}-rerun", "tracker": "none"}
    said = {line.partition("=")[0] for line in overrides}
    lines = [f"{key}='{value}'" for key, value in given.items() if key not in said]
    today = resolved(compose([*lines, *overrides]))
    whole = {**today, **manifest["config"]}
    for key in today:
        if key not in manifest["config"] and key not in (*NOT_SCIENCE, *BORROWED):
            print(f"differs now: {key} is new, and takes its default {today[key]}")
    config = OmegaConf.create(whole)
    OmegaConf.set_struct(config, True)
    return config


def _keep_threads(manifest: Mapping[str, Any]) -> None:
    """Sums of another number of threads are other bits."""
    import torch

    torch.set_num_threads(manifest["environment"].get("torch_threads", torch.get_num_threads()))


def _now(settings: Any, parts: Any) -> dict[str, Any]:
    """Today's environment and fingerprints. Loads data and model; the run loads them anew."""
    from cropi.run import prepare
    from cropi.runtime.manifest import environment

    try:
        *_, fingerprints = prepare(settings, parts)
    finally:
        parts.verifier.close()
        gc.collect()  # the model that was loaded only to be looked at
    return {**fingerprints, "environment": environment()}


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What a result depends on besides its configuration, and differs: ``torch 2.12 -> 2.13``."""
    before, after = was["environment"], now["environment"]
    found = []
    for key in MATTERS:
        found += _changed("" if key == "packages" else key, before.get(key), after.get(key))
    for key in FINGERPRINTS:
        found += _changed(key.replace("_", " "), was.get(key), now.get(key))
    return found


def _changed(name: str, was: Any, now: Any) -> list[str]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        return [
            line for key in sorted({*was, *now})
            for line in _changed(f"{name} {key}".strip(), was.get(key), now.get(key))
        ]
    return [] if was == now else [f"{name} {_shown(was)} -> {_shown(now)}"]


def _shown(value: Any) -> str:
    return "absent" if value is None else str(value)


def _verdict(folder: Path, again: Path) -> int:
    """Say whether both runs measured the same."""
    from cropi.run import RESULT
    from cropi.tracking.metrics_file import FILE_NAME

    odd = different_metrics(folder / FILE_NAME, again / FILE_NAME,
                            whole=(folder / RESULT).exists())
    if not odd:
        print("every metric is the same to the bit, times aside")
        return 0
    step, kind, name, was, now = odd[0]
    print(f"{len(odd)} metrics are not the same; the first, at step {step} ({kind}): "
          f"{name} {_shown(was)} -> {_shown(now)}\nsee also: cropi diff {folder} {again}")
    return 1


Different = tuple[int, str, str, float | None, float | None]  # step, kind, name, was, now


def different_metrics(ours: Path, theirs: Path, *, whole: bool = True) -> list[Different]:
    """Every value that is not the same in both files, times aside, in the order of our steps.

    Of a run that is not ``whole`` only the steps it has got to count.
    """
    one, other = _table(ours), _table(theirs)
    last = max((step for step, _, _ in one), default=-1)
    return [
        (*key, one.get(key), other.get(key))
        for key in sorted(dict.fromkeys([*one, *other]), key=lambda key: key[0])
        if one.get(key) != other.get(key) and (whole or key in one or key[0] < last)
    ]


def _table(path: Path) -> dict[tuple[int, str, str], float]:
    from cropi.tracking.metrics_file import read_metrics

    return {
        (record.step, record.kind, name): value
        for record in read_metrics(path)
        for name, value in record.metrics.items()
        if not TIMES.search(name)
    }
