"""Starting, finding and finishing a run: its folder, lock, manifest, trackers and result."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from cropi.configuration import assemble, science, science_hash
from cropi.contracts import Prompts, RunIdentity
from cropi.runtime.errors import CropiError
from cropi.runtime.files import read_json, write_json
from cropi.runtime.locks import exclusive
from cropi.runtime.seeds import derive
from cropi.settings import Parts, Settings
from cropi.types import Cost

if TYPE_CHECKING:
    from cropi.policies.policy import Policy
    from cropi.preparation import Fit

MANIFEST, RESULT, LOG, DATA = "manifest.json", "result.json", "log.txt", "data.json"
FAILURE = "failure.json"  # why a sweep gave the run up; gone once it is taken up again
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """A finished run: where it is, its last evaluation metrics and what it cost."""

    folder: Path
    metrics: Mapping[str, float]
    cost: Cost
    policy: str  # fingerprint of the final weights

    @classmethod
    def read(cls, folder: Path) -> RunResult:
        result = read_json(folder / RESULT)
        return cls(folder, result["metrics"], Cost(result["cost"]), result["policy"])


def run_experiment(cfg: DictConfig, choices: Mapping[str, str] | None = None) -> RunResult:
    """Run what ``cfg`` describes, or go on with it, or return its result when it is finished.

    ``choices`` are the options chosen a group, for the folder's name and the reports. Raises
    CropiError for what the user can put right; whatever was computed stays on disk.
    """
    settings, parts = assemble(cfg)
    choices = dict(choices or {})
    folder = settings.runs / run_name(settings, choices, science_hash(cfg))
    if (folder / RESULT).exists():
        log.info("already finished: %s", folder)
        return RunResult.read(folder)
    with exclusive(folder), _log_file(folder / LOG):
        (folder / FAILURE).unlink(missing_ok=True)
        try:
            _work(settings, parts, folder, science(cfg), choices)
        finally:
            parts.verifier.close()
    return RunResult.read(folder)


def run_study(cfg: DictConfig, choices: Mapping[str, str] | None = None) -> Path:
    """Conduct ``cfg.study`` on the run it names, or on the run that ``cfg`` describes.

    The latter is run first unless it is finished. Returns the folder of the answer.
    """
    from cropi.configuration import study_of
    from cropi.reports.runs import read_run
    from cropi.studies.study import Study

    study: Study = study_of(cfg)
    settings, _ = assemble(cfg)
    folder = (
        run_experiment(cfg, choices).folder if study.run is None
        else Path(study.run).expanduser().absolute()
    )  # fmt: skip
    if not (folder / MANIFEST).exists():
        raise CropiError(f"study.run={study.run}: is not the folder of a run")
    return study.conduct(read_run(folder), settings.cache)


def run_name(settings: Settings, choices: Mapping[str, str], digest: str) -> str:
    """``<name>-<hash>``; the name says benchmark, model, selector and seed for the reader only."""
    parts = [choices.get(group, "") for group in ("benchmark", "model", "selector")]
    name = settings.name or "-".join([*filter(None, parts), f"seed{settings.seed}"])
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[:80]}-{digest}"


def _work(
    settings: Settings,
    parts: Parts,
    folder: Path,
    config: Mapping[str, Any],
    choices: Mapping[str, str],
) -> None:
    from cropi.benchmarks.load_report import as_json, describe
    from cropi.benchmarks.sets import sets_of
    from cropi.experiment import Experiment
    from cropi.journal import Journal
    from cropi.progress import Display
    from cropi.rollouts.prompt_table import write_prompts
    from cropi.tracking.flatten import flatten

    log.info("run folder: %s", folder)
    began = time.perf_counter()
    prompts, policy, fitted, depends_on = prepare(settings, parts)
    report = as_json(prompts.report)
    targeted = [name for name, test in prompts.tests.items() if test.targeted]
    manifest = _manifest(folder, config, choices, depends_on, settings.seed, report, targeted)
    _report_data(folder, report, [*describe(prompts.report), *fitted.lines()])
    write_prompts(folder, sets_of(prompts))
    identity = RunIdentity(
        run_id=folder.name,
        name=folder.name,
        folder=folder,
        config=flatten({**config, "choices": manifest["choices"]}),
    )
    journal = Journal(folder, parts.trackers)
    journal.spend(Cost.of("load", seconds=time.perf_counter() - began))
    with _trackers(parts, identity, journal.latest):
        Experiment(
            settings=settings,
            parts=parts,
            prompts=prompts,
            policy=policy,
            folder=folder,
            journal=journal,
            display=Display(settings.progress),
            identity={
                "policy": depends_on["model"],
                "sampling": config["offline"]["sampling"],
                "rollout": config["rollout"],
                "verifier": config["verifier"],
                "seed": settings.seed,
            },
        ).run()
        policy.export(folder / "final")
        write_json(folder / RESULT, {
            "run_id": folder.name,
            "finished": True,
            "steps": journal.progress.step,
            "metrics": journal.latest,
            "cost": journal.cost.amounts,
            "policy": policy.fingerprint(),
        })
    log.info("finished: %s", folder)


def prepare(settings: Settings, parts: Parts) -> tuple[Prompts, Policy, Fit, dict[str, Any]]:
    """Prompts and starting policy, what did not fit, and what a run depends on besides its
    configuration, as its manifest has it.

    Raises CropiError for data that cannot be read or used.
    """
    import torch

    from cropi.benchmarks.label_noise import with_label_noise
    from cropi.benchmarks.load_report import digest
    from cropi.preparation import check, fingerprint, fit, loaded

    # Only an adapter's fresh weights are drawn from torch's own generator.
    torch.manual_seed(derive(settings.seed, "model"))
    prompts = loaded(parts.benchmark, parts.verifier, settings.seed)
    policy = parts.model.load(settings.cache)
    trainable = sum(parameter.numel() for _, parameter in policy.trainable())
    log.info("model: %s trainable parameters on %s", f"{trainable:,}", policy.device)
    prompts, fitted = fit(prompts, policy, parts.benchmark.max_prompt_tokens)
    prompts = with_label_noise(prompts, settings.label_noise, settings.seed, parts.verifier)
    check(parts, prompts)
    return prompts, policy, fitted, {
        "data": fingerprint(prompts),
        "data_report": digest(prompts.report),
        "label_noise": prompts.report.label_noise,
        "model": policy.fingerprint(),
    }


def _manifest(
    folder: Path,
    config: Mapping[str, Any],
    choices: Mapping[str, str],
    depends_on: Mapping[str, Any],
    seed: int,
    report: Mapping[str, Any],
    targeted: Sequence[str],
) -> dict[str, Any]:
    """Written at the first start. Later starts must find the same data and the same model."""
    from cropi.runtime.manifest import environment

    path = folder / MANIFEST
    here = environment()
    if not path.exists():
        write_json(path, {
            "run_id": folder.name,
            "name": folder.name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "choices": dict(choices),
            "config": dict(config),
            "seed": seed,
            "targeted": list(targeted),  # test sets whose validation set guided the selection
            **depends_on,
            "environment": here,
        })
    manifest: dict[str, Any] = read_json(path)
    for what, value in depends_on.items():
        was = manifest.get(what)
        if was != value:
            if what == "data_report" and (folder / DATA).exists():
                was, value = read_json(folder / DATA), report
            raise CropiError(
                f"the {what.replace('_', ' ')} of this run changed since it started (see {path}"
                f"{_difference(was, value)}): "
                f"restore it, or move {folder} away to start anew"
            )
    was = manifest["environment"]
    changed = [key for key in ("python", "packages", "commit", "platform", "torch_threads")
               if was.get(key) != here[key]]
    if changed:
        log.warning("continuing with another %s than the run started with; "
                    "results may differ in the last bits", ", ".join(changed))
    return manifest


def _difference(was: Any, now: Any) -> str:
    """What differs, as far as it has a name: ``; train, test/gsm8k``."""
    if not (isinstance(was, Mapping) and isinstance(now, Mapping)):
        return ""
    changed = [key for key in dict.fromkeys([*was, *now]) if was.get(key) != now.get(key)]
    return f"; {', '.join(map(str, changed))}"


def _report_data(folder: Path, report: Mapping[str, Any], lines: list[str]) -> None:
    write_json(folder / DATA, report)
    (folder / "data.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in lines:
        log.info("data: %s", line)


@contextmanager
def _trackers(parts: Parts, run: RunIdentity, summary: Mapping[str, float]) -> Iterator[None]:
    for tracker in parts.trackers:
        tracker.start(run)
    try:
        yield
    finally:
        for tracker in parts.trackers:
            tracker.finish(summary)


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Everything cropi logs also goes to the run's own file."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("cropi")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
