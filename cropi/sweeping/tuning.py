"""``cropi tune``: the search for good values, by Optuna's ask and tell over the jobs of a sweep.

A study lies in one file and goes on where it stopped; a trial that was cut off is asked again, and
its run, found by its configuration, goes on too.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cropi.run import RESULT
from cropi.runtime.errors import ConfigError, CropiError
from cropi.runtime.files import read_json, write_json
from cropi.settings import Jobs
from cropi.sweeping.jobs import FrozenJob
from cropi.sweeping.process import BUSY, COMMAND, JobProcess
from cropi.sweeping.slots import Slots
from cropi.sweeping.space import as_overrides

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Search:
    """What is searched, how long, and by which metric of a run's result."""

    name: str
    folder: Path
    space: dict[str, BaseDistribution]
    metric: str
    direction: Direction
    trials: int
    seed: int


class Tuner:
    """Runs trials until ``search.trials`` are finished, counting those of earlier calls.

    ``freeze`` makes the job of a trial from its overrides. A trial that fails is told as failed
    and does not count. ``command`` is what starts a job.
    """

    def __init__(
        self,
        search: Search,
        options: Jobs,
        freeze: Callable[[Sequence[str]], FrozenJob],
        tell: Callable[[str], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._search = search
        self._freeze = freeze
        self._tell = tell
        self._slots: Slots[Any] = Slots(options, search.name, command)
        self._failures = 0
        self.study = _study(search)

    def run(self) -> int:
        """How many trials failed. Raises CropiError when nearly all do."""
        _ask_again(self.study)
        with self._slots as slots:
            while self._missing() > 0 or slots:
                while not slots.full and self._missing() > 0:
                    self._start(self.study.ask(self._search.space))
                for trial, process in slots.ended():
                    self._ended(trial, process)
        return self._failures

    def _missing(self) -> int:
        from optuna.trial import TrialState

        done = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return self._search.trials - len(done) - len(self._slots)

    def _start(self, trial: Any) -> None:
        overrides = as_overrides({key: trial.params[key] for key in self._search.space})
        job = self._freeze(overrides)
        path = self._search.folder / f"trial-{trial.number:04d}.json"
        write_json(path, asdict(job))
        trial.set_user_attr("run", job.folder)
        self._tell(f"trial {trial.number}: {' '.join(overrides)} started")
        self._slots.start(trial, job, path, path.with_suffix(".outcome.json"))

    def _ended(self, trial: Any, process: JobProcess) -> None:
        from optuna.trial import TrialState

        if process.code == 0:
            value = value_of(process.job, self._search.metric)
            self.study.tell(trial, value)
            self._tell(f"trial {trial.number}: {self._search.metric} {value:.4f}")
            return
        busy = "another process works on its run"
        error = busy if process.code == BUSY else process.error()
        if process.code != BUSY:
            process.record(1)
        self.study.tell(trial, state=TrialState.FAIL)
        self._failures += 1
        self._tell(f"trial {trial.number}: failed: {error}")
        if self._failures >= max(3, self._search.trials):
            raise CropiError(f"{self._failures} trials failed, the last with: {error}")


def value_of(job: FrozenJob, metric: str) -> float:
    """The run's final value. Raises CropiError naming the metrics there are."""
    metrics = read_json(Path(job.folder) / RESULT)["metrics"]
    if metric not in metrics:
        known = ", ".join(sorted(name for name in metrics if name.count("/") == 1))
        raise CropiError(f"--metric {metric}: the run's result has no such metric, but {known}")
    return float(metrics[metric])


def _study(search: Search) -> Any:
    """Opened or begun. Raises ConfigError when it was begun over other values."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search.folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(search.folder / "study.journal"))),
        sampler=optuna.samplers.TPESampler(seed=search.seed, constant_liar=True),
        study_name=search.name, direction=search.direction, load_if_exists=True,
    )  # fmt: skip
    about = {
        "metric": search.metric,
        "direction": search.direction,
        "space": {key: str(found) for key, found in sorted(search.space.items())},
    }
    before = study.user_attrs.get("about")
    if before is None:
        study.set_user_attr("about", about)
    elif before != about:
        changed = [key for key in about if before.get(key) != about[key]]
        raise ConfigError([
            f"--name {search.name}: this study was begun with another {' and '.join(changed)} "
            f"({json.dumps({key: before[key] for key in changed})}); give a new --name"
        ])
    return study


def _ask_again(study: Any) -> None:
    """Trials that a killed process left behind are failed, and their values asked for first."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.enqueue_trial(trial.params)
        study.tell(trial.number, state=TrialState.FAIL)


def main(
    overrides: Sequence[str],
    config_dir: Path | None,
    *,
    trials: int,
    metric: str,
    direction: Direction,
    name: str,
) -> int:
    """Search, then print the best trials; the exit code."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise CropiError(f"{error}; pip install 'cropi[tune]'") from error
    from cropi.composition import Composer
    from cropi.configuration import assemble
    from cropi.outcome import user_modules_are_importable
    from cropi.overrides import parse
    from cropi.sweeping.jobs import freeze
    from cropi.sweeping.space import search_space

    user_modules_are_importable()
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise ConfigError([f"--name {name}: letters, digits, dots and dashes only"])
    composer = Composer(config_dir=config_dir)
    parsed, problems = parse(overrides)
    if problems:
        raise ConfigError(problems)
    space, fixed = search_space(parsed)
    flags = [f"--config-dir={config_dir}"] if config_dir else []

    def job_of(values: Sequence[str]) -> FrozenJob:
        (job,) = composer.jobs([*fixed, *values], multirun=False)
        return freeze(job, flags)

    first = as_overrides({key: _example(found) for key, found in space.items()})
    job_of(first)  # every mistake before anything runs
    (job,) = composer.jobs([*fixed, *first], multirun=False)
    settings, _ = assemble(job.config)
    search = Search(
        name, settings.runs / "tune" / name, space, metric, direction, trials, settings.seed
    )
    tuner = Tuner(search, settings.jobs, job_of, lambda line: print(line, file=sys.stderr))
    try:
        failed = tuner.run()
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on", file=sys.stderr)
        return 130
    show(tuner.study, search)
    return 1 if failed else 0


def _example(distribution: Any) -> Any:
    choices = getattr(distribution, "choices", None)
    return choices[0] if choices else distribution.low


def show(study: Any, search: Search) -> None:
    """The best trials first."""
    from optuna.trial import TrialState
    from rich import box
    from rich.console import Console
    from rich.table import Table

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = sorted(done, key=lambda trial: trial.value, reverse=search.direction == "maximize")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("trial", search.metric, *search.space, "run"):
        table.add_column(heading, overflow="fold")
    for trial in best[:20]:
        values = [str(trial.params[key]) for key in search.space]
        run = Path(trial.user_attrs["run"]).name
        table.add_row(str(trial.number), f"{trial.value:.4f}", *values, run)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table)
    console.print(f"{len(done)} trials in {search.folder}", soft_wrap=True)
