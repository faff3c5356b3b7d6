"""The commands beside running an experiment. What they need is imported when they are called."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cropi.runtime.errors import CropiError, did_you_mean

NAMES = ("list", "config", "doctor", "rollouts", "selection", "results")


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code. Raises CropiError for what the user can put right."""
    asked = _parser().parse_args(arguments)
    if asked.command == "doctor":
        from cropi.doctor import examine

        return examine()
    if asked.command == "list":
        from cropi.help import list_text

        print(list_text(asked.group, asked.config_dir))
    elif asked.command == "config":
        from cropi.reference import reference

        print(reference(asked.group), end="")
    elif asked.command == "rollouts":
        from cropi.rollouts.show import show as show_rollouts

        show_rollouts(_run_folder(asked.run), asked.prompt)
    elif asked.command == "selection":
        from cropi.selectors.show import show as show_selection

        show_selection(_run_folder(asked.run), asked.phase, asked.top)
    else:
        from cropi.reports.results import main as show_results

        show_results(asked.paths, asked.plot)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("cropi", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)

    listing = commands.add_parser("list", help="options of every group")
    listing.add_argument("group", nargs="?")
    listing.add_argument("--config-dir", type=Path, help="a folder with groups of your own")

    config = commands.add_parser("config", help="every key with its meaning and default")
    config.add_argument("group", nargs="?")

    commands.add_parser("doctor", help="is this machine ready?")

    rollouts = commands.add_parser("rollouts", help="stored completions").add_subparsers(
        dest="what", required=True
    )
    show = rollouts.add_parser("show", help="a prompt's completions and verdicts")
    show.add_argument("run", type=Path, help="a run folder")
    show.add_argument("--prompt", required=True, metavar="ID", help="id of a prompt, or its start")

    selection = commands.add_parser("selection", help="chosen prompts").add_subparsers(
        dest="what", required=True
    )
    show = selection.add_parser("show", help="which prompts a phase chose, and why")
    show.add_argument("run", type=Path, help="a run folder")
    show.add_argument("--phase", type=int, default=0, help="counted from 0")
    show.add_argument("--top", type=int, default=20, help="how many prompts")

    results = commands.add_parser("results", help="a table of finished runs")
    results.add_argument("paths", type=Path, nargs="+", help="run folders, or folders of runs")
    results.add_argument("--plot", type=Path, metavar="FILE", help="also draw the curves")
    return parser


def _run_folder(path: Path) -> Path:
    if (path / "manifest.json").exists():
        return path
    siblings = [str(found.parent) for found in path.absolute().parent.glob("*/manifest.json")]
    near = did_you_mean(str(path.absolute()), siblings)
    raise CropiError(f"{path}: is not the folder of a run{near}")
