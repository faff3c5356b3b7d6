"""Running one experiment and saying how it ended, in the words people should see."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cropi.runtime.errors import CropiError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from cropi.run import RunResult


@dataclass(frozen=True)
class Outcome:
    """How one job ended: a run's result, a study's folder, or the first line of what went wrong."""

    overrides: Sequence[str]
    result: RunResult | None
    error: str = ""
    study: Path | None = None


def conduct(
    config: DictConfig, choices: Mapping[str, str], overrides: Sequence[str]
) -> tuple[Outcome, Exception | None]:
    """Run one job. Whatever it raises ends this job only, and is told at once."""
    from cropi.run import run_experiment, run_study

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


def log_to_console() -> None:
    """What Hydra sets up for a run, where no Hydra is."""
    import logging.config

    import yaml

    from cropi.catalogue import conf_folder

    text = (conf_folder() / "hydra" / "job_logging" / "cropi.yaml").read_text(encoding="utf-8")
    logging.config.dictConfig(yaml.safe_load(text))


def user_modules_are_importable() -> None:
    """``_target_: my_module.Mine`` finds my_module.py where cropi is called, as python does.

    Last on the path, so that no file there stands in for a library.
    """
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)


def _whereabouts(config: DictConfig) -> str:
    """Where the run wrote its log before it broke."""
    from cropi.configuration import science_hash

    runs = Path(config.runs).expanduser().absolute()
    found = sorted(runs.glob(f"*-{science_hash(config)}/log.txt"))
    return f"the log is {found[0]}" if found else f"no run folder was begun in {runs}"
