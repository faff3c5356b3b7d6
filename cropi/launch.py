"""Running experiments through Hydra: checked before the first starts, summed up after the last."""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cropi.outcome import Outcome, conduct, user_modules_are_importable
from cropi.runtime.errors import ConfigError, CropiError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from cropi.composition import Job
    from cropi.sweeping.jobs import FrozenJob

# Hydra's basic ones, whose work is done here: a process a job, resumable, with a plan.
OUR_LAUNCHER = ("hydra._internal.core_plugins.basic_launcher.BasicLauncher",)
OUR_SWEEPER = ("hydra._internal.core_plugins.basic_sweeper.BasicSweeper",)

ONE_DRIVER = (
    "start cropi once, without it: cropi starts what it needs. Which device: model.device=cuda:N; "
    "which GPUs a sweep shares out, one a job: CUDA_VISIBLE_DEVICES and jobs.slots"
)
CONFIG_MISTAKE, FAILED, INTERRUPTED = 2, 1, 130
MANY_JOBS = 20


def launch(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; the exit code.

    Raises ConfigError before anything has run, with every mistake in any job.
    """
    try:
        import hydra  # noqa: F401
    except Exception as error:  # another antlr than 4.9 raises a bare Exception at import
        raise CropiError(
            f"hydra cannot be imported ({error}); `cropi doctor` says what to install"
        ) from error

    flags, passed = _flags(arguments)
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":
        raise CropiError(f"torchrun started cropi {os.environ['WORLD_SIZE']} times; {ONE_DRIVER}")
    user_modules_are_importable()
    if flags.hydra_help or flags.shell_completion or flags.cfg or flags.info is not None:
        if not (flags.hydra_help or flags.shell_completion):
            _composed(flags)
        return _through_hydra(passed, arguments)
    jobs = _composed(flags)
    frozen = _checked(jobs, flags)
    first = jobs[0].config
    own = all(job.config.hydra.launcher._target_ in OUR_LAUNCHER for job in jobs) and (
        first.hydra.sweeper._target_ in OUR_SWEEPER
    )
    several = flags.multirun or first.hydra.mode == "MULTIRUN" or len(jobs) > 1
    if first.dry_run or (several and own):
        return _sweep(frozen, first, arguments)
    return _through_hydra(passed, arguments)


def _sweep(frozen: Sequence[FrozenJob], first: DictConfig, arguments: Sequence[str]) -> int:
    """Run the jobs in processes of their own, or only say what would be run."""
    from cropi.configuration import assemble
    from cropi.sweeping.jobs import sweep_of
    from cropi.sweeping.planning import plan
    from cropi.sweeping.running import Runner
    from cropi.sweeping.slots import slots_of
    from cropi.sweeping.summary import show_plan, sum_up

    settings, _ = assemble(first)
    sweep = sweep_of(frozen, first.hydra.runtime.choices.get("sweep"), settings.runs)
    if settings.dry_run:
        show_plan(plan(sweep), slots_of(settings.jobs))
        return 0
    sweep.write(["cropi", *arguments])
    try:
        endings = Runner(sweep, settings.jobs, lambda line: print(line, file=sys.stderr)).run()
    except KeyboardInterrupt:
        print(f"\nstopped; to continue: {_command(arguments)}", file=sys.stderr)
        return INTERRUPTED
    sum_up(sweep, endings)
    return 0 if all(e.status in ("finished", "done before") for e in endings) else FAILED


def _through_hydra(passed: Sequence[str], arguments: Sequence[str]) -> int:
    """One run in this process; also whatever only Hydra's own launchers and flags do."""
    import hydra

    outcomes: list[Outcome] = []
    home = os.getpid()

    @hydra.main(version_base="1.3", config_path="pkg://cropi.conf", config_name="config")
    def job(config: DictConfig) -> float | None:
        from hydra.core.hydra_config import HydraConfig

        runtime = HydraConfig.get()
        choices = {str(k): v for k, v in runtime.runtime.choices.items()}
        outcome, error = conduct(config, choices, list(runtime.overrides.task))
        if error is not None and os.getpid() != home:
            raise error  # in another process only its launcher can carry the news
        outcomes.append(outcome)
        return None if outcome.result is None else outcome.result.metrics.get("eval/all")

    before, sys.argv = sys.argv, ["cropi", *passed]
    try:
        job()
    except KeyboardInterrupt:
        print(f"\nstopped; to continue: {_command(arguments)}", file=sys.stderr)
        return INTERRUPTED
    finally:
        sys.argv = before
    return _sum_up(outcomes)


def _flags(arguments: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Hydra's reading of the command line, and the same with the overrides put first.

    Hydra itself takes no flag between two overrides.
    """
    from hydra._internal.utils import get_args_parser

    flags, unknown = get_args_parser().parse_known_intermixed_args(arguments)
    if unknown:
        raise ConfigError([_unknown_flag(flag) for flag in unknown])
    if flags.config_path:
        raise ConfigError(["--config-path: would replace cropi's groups; --config-dir adds yours"])
    if flags.experimental_rerun:
        raise ConfigError([
            "--experimental-rerun: reads a pickle, which can run any code; "
            "to repeat a run, repeat its command"
        ])
    rest = list(arguments)
    for override in flags.overrides:
        rest.remove(override)
    return flags, [*flags.overrides, *rest]


def _unknown_flag(flag: str) -> str:
    name = flag.lstrip("-")
    if name.partition("=")[0].replace("_", "-") == "local-rank":
        return f"{flag}: comes from torchrun; {ONE_DRIVER}"
    if "=" in name:
        return f"{flag}: keys have no dashes; write {name}"
    return f"{flag}: there is no such flag, and keys are set with {name}=VALUE; see `cropi --help`"


def _composed(flags: Namespace) -> list[Job]:
    from cropi.composition import Composer

    composer = Composer(
        config_dir=Path(flags.config_dir) if flags.config_dir else None,
        config_name=flags.config_name or "config",
    )
    return composer.jobs(flags.overrides, multirun=flags.multirun)


def _checked(jobs: Sequence[Job], flags: Namespace) -> list[FrozenJob]:
    """Every job with its parts built once, so that all mistakes are found before any runs."""
    from cropi.sweeping.jobs import freeze

    if len(jobs) > MANY_JOBS:
        print(f"checking {len(jobs)} jobs", file=sys.stderr)
    problems: dict[str, None] = {}
    frozen = []
    named = {"--config-dir": flags.config_dir, "--config-name": flags.config_name}
    given = [f"{name}={value}" for name, value in named.items() if value]
    for job in jobs:
        try:
            frozen.append(freeze(job, given))
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError(list(problems))
    return frozen


def _sum_up(outcomes: Sequence[Outcome]) -> int:
    """The table of what finished, and how to repeat what failed; the exit code."""
    failures = [outcome for outcome in outcomes if outcome.error]
    studies = dict.fromkeys(o.study for o in outcomes if o.study is not None)
    if studies:
        print(*studies, sep="\n")
    folders = dict.fromkeys(o.result.folder for o in outcomes if o.result is not None)
    if folders:
        from cropi.reports.results import main as show_results

        show_results(list(folders))
        print(*folders, sep="\n")
    if len(outcomes) > 1:
        print(f"\n{len(outcomes) - len(failures)} of {len(outcomes)} jobs finished")
        for outcome in failures:
            print(f"failed: {outcome.error}\n  again: {_command(outcome.overrides)}")
    return FAILED if failures else 0


def _command(arguments: Sequence[str]) -> str:
    return shlex.join(["cropi", *arguments])
