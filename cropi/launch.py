"""Running experiments through Hydra: checked before the first starts, summed up after the last."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cropi.runtime.errors import ConfigError, CropiError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from cropi.run import RunResult

CONFIG_MISTAKE, FAILED, INTERRUPTED = 2, 1, 130
MANY_JOBS = 20


@dataclass(frozen=True)
class Outcome:
    """How one job ended: a run's result, a study's folder, or the first line of what went wrong."""

    overrides: Sequence[str]
    result: RunResult | None
    error: str = ""
    study: Path | None = None


def launch(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; the exit code.

    Raises ConfigError before anything has run, with every mistake in any job.
    """
    try:
        import hydra
    except Exception as error:  # another antlr than 4.9 raises a bare Exception at import
        raise CropiError(
            f"hydra cannot be imported ({error}); `cropi doctor` says what to install"
        ) from error

    flags, passed = _flags(arguments)
    _user_modules_are_importable()
    if not (flags.hydra_help or flags.shell_completion):
        _check(flags)
    outcomes: list[Outcome] = []
    home = os.getpid()

    @hydra.main(version_base="1.3", config_path="pkg://cropi.conf", config_name="config")
    def job(config: DictConfig) -> float | None:
        outcome, error = _run(config)
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
    if "=" in name:
        return f"{flag}: keys have no dashes; write {name}"
    return f"{flag}: there is no such flag, and keys are set with {name}=VALUE; see `cropi --help`"


def _user_modules_are_importable() -> None:
    """``_target_: my_module.Mine`` finds my_module.py where cropi is called, as python does.

    Last on the path, so that no file there stands in for a library.
    """
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)


def _check(flags: Namespace) -> None:
    """Compose every job, and build its parts when it is going to run."""
    from cropi.composition import Composer
    from cropi.configuration import assemble, study_of

    composer = Composer(
        config_dir=Path(flags.config_dir) if flags.config_dir else None,
        config_name=flags.config_name or "config",
    )
    jobs = composer.jobs(flags.overrides, multirun=flags.multirun)
    if flags.cfg or flags.info is not None:
        return
    if len(jobs) > MANY_JOBS:
        print(f"checking {len(jobs)} jobs", file=sys.stderr)
    problems: dict[str, None] = {}
    for job in jobs:
        try:
            assemble(job.config)
            if job.config.get("study") is not None:
                study_of(job.config)
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError(list(problems))


def _run(config: DictConfig) -> tuple[Outcome, Exception | None]:
    """Run one job. Whatever it raises ends this job only, and is told at once."""
    from hydra.core.hydra_config import HydraConfig

    from cropi.run import run_experiment, run_study

    hydra = HydraConfig.get()
    overrides = list(hydra.overrides.task)
    choices = {str(k): v for k, v in hydra.runtime.choices.items()}
    try:
        if config.get("study") is not None:
            return Outcome(overrides, None, study=run_study(config, choices)), None
        return Outcome(overrides, run_experiment(config, choices)), None
    except CropiError as error:
        tell(error)
        return Outcome(overrides, None, str(error).splitlines()[0]), error
    except SystemExit as error:
        print(f"error: a part called sys.exit({error.code})", file=sys.stderr)
        return Outcome(overrides, None, f"sys.exit({error.code})"), RuntimeError(str(error))
    except Exception as error:  # noqa: BLE001 - the other jobs of a sweep still run
        traceback.print_exc()
        print(f"\nunexpected error; {_whereabouts(config)}", file=sys.stderr)
        return Outcome(overrides, None, f"{type(error).__name__}: {error}"), error


def tell(error: CropiError) -> None:
    """Print an error for people; with a traceback where one was asked for."""
    if os.environ.get("CROPI_TRACEBACK") == "1" or os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    print(f"error: {error}", file=sys.stderr)


def _whereabouts(config: DictConfig) -> str:
    """Where the run wrote its log before it broke."""
    from cropi.configuration import science_hash

    runs = Path(config.runs).expanduser().absolute()
    found = sorted(runs.glob(f"*-{science_hash(config)}/log.txt"))
    return f"the log is {found[0]}" if found else f"no run folder was begun in {runs}"


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
