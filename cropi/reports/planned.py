"""Jobs that a sweep has planned and nobody has begun: cells that are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cropi.reports.filters import holds
from cropi.reports.runs import FAILURE, MANIFEST, Run
from cropi.runtime.errors import DataError
from cropi.runtime.files import read_json

PLANS = "sweeps/*/plan.json"  # below a folder of runs


def not_begun(paths: Iterable[Path], where: Sequence[str] = ()) -> list[Run]:
    """As runs, of the sweeps kept in ``paths``; those for which the expressions hold.

    Raises DataError for a plan that is not ours.
    """
    found: dict[str, Run] = {}
    for plan in (each for path in paths for each in sorted(path.glob(PLANS))):
        try:
            for job in read_json(plan)["jobs"]:
                folder = Path(job["run"])
                if not any((folder / name).is_file() for name in (MANIFEST, FAILURE)):
                    frozen = read_json(plan.parent / job["file"])
                    run = Run(folder, folder.name, frozen["config"], frozen["choices"], None)
                    found[folder.name] = run
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{plan}: cannot be read as the plan of a sweep ({error!r})") from error
    return [run for run in found.values() if all(holds(run, each) for each in where)]
