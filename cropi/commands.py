"""The commands beside running an experiment. What they need is imported when they are called."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cropi.runtime.errors import CropiError, did_you_mean

NAMES = ("list", "config", "doctor", "verify", "data", "tune", "rollouts", "selection", "results",
         "report", "runs", "diff", "rerun", "completion")


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code. Raises CropiError for what the user can put right."""
    parser = _parser()
    asked, rest = parser.parse_known_args(arguments)
    if rest and (not hasattr(asked, "overrides") or any(text.startswith("-") for text in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:  # argparse takes no overrides after a flag
        asked.overrides += rest
    if asked.command == "doctor":
        from cropi.doctor import examine

        return examine()
    if asked.command == "list":
        from cropi.help import list_text

        print(list_text(asked.group, asked.config_dir))
    elif asked.command == "config":
        from cropi.reference import reference

        print(reference(asked.group), end="")
    elif asked.command == "verify":
        from cropi.grading import main as verify

        return verify(asked.cases, asked.overrides, asked.config_dir)
    elif asked.command == "data":
        from cropi.data_check import main as check_data

        return check_data(asked.overrides, asked.config_dir, asked.json)
    elif asked.command == "tune":
        from cropi.sweeping.tuning import main as tune

        return tune(
            asked.overrides, asked.config_dir, trials=asked.trials, metric=asked.metric,
            direction="minimize" if asked.minimize else "maximize", name=asked.name,
        )  # fmt: skip
    elif asked.command == "rollouts":
        from cropi.rollouts.show import show as show_rollouts

        show_rollouts(_run_folder(asked.run), asked.prompt)
    elif asked.command == "selection":
        from cropi.selectors.show import show as show_selection

        show_selection(_run_folder(asked.run), asked.phase, asked.top)
    elif asked.command == "completion":
        from cropi.completion import SCRIPTS, words

        found = words(asked.line) if asked.shell == "words" else [SCRIPTS[asked.shell].rstrip()]
        print("\n".join(found))
    elif asked.command == "runs":
        from cropi.reports.listing import main as list_runs

        list_runs(asked.paths, as_json=asked.json)
    elif asked.command == "diff":
        from cropi.reports.diff import lines

        one, other = (
            _run_folder(run, ("manifest.json", "failure.json")) for run in (asked.one, asked.other)
        )
        print("\n".join(lines(one, other, everything=asked.all)))
    elif asked.command == "rerun":
        from cropi.rerun import main as rerun

        runs = [] if asked.runs is None else [f"runs='{asked.runs}'"]
        return rerun(_run_folder(asked.run), [*asked.overrides, *runs])
    elif asked.command == "report":
        from cropi.catalogue import options
        from cropi.reports.page.page import main as write_report

        write_report(
            asked.paths, asked.out, baseline=asked.baseline, target=asked.target,
            where=asked.where, figures_folder=asked.figures,
            described={n: option.description for n, option in options()["selector"].items()},
        )  # fmt: skip
        print(asked.out)
    else:
        from cropi.reports.results import main as show_results

        show_results(
            asked.paths, asked.plot, form=asked.format, metric=asked.metric, where=asked.where,
            group_by=[key for text in asked.group_by for key in text.split(",")],
            baseline=asked.baseline, target=asked.target, details=asked.details, out=asked.out,
        )  # fmt: skip
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

    verify = commands.add_parser(
        "verify", help="grade cases: one JSON object a line",
        description="Grade cases, one JSON object a line, and print a verdict for each in order. "
        "The verifier is verifier=math unless an override chooses another.",
    )  # fmt: skip
    verify.add_argument("cases", type=Path, help="a .jsonl file: id, gold, prediction; - is stdin")
    _composed(verify, "verifier=math")

    data = commands.add_parser("data", help="benchmarks").add_subparsers(dest="what", required=True)
    check = data.add_parser("check", help="can this benchmark be trusted?")
    check.add_argument("--json", type=Path, metavar="FILE", help="where to write the report")
    _composed(check, "benchmark=word_problems")

    tune = commands.add_parser("tune", help="search for good values with Optuna")
    tune.add_argument("--trials", type=int, default=20, help="finished trials, earlier ones too")
    tune.add_argument("--metric", default="eval/targeted", help="of the run's final evaluation")
    tune.add_argument("--minimize", action="store_true", help="smaller is better")
    tune.add_argument("--name", default="tune", help="of the study, to go on with it")
    _composed(tune, "'selector.alpha=tag(log,interval(0.01,0.5))'")

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
    forms = ("table", "markdown", "latex", "csv", "json")
    results.add_argument("--format", choices=forms, default="table")
    results.add_argument("--out", type=Path, metavar="FILE", help="write there")
    results.add_argument("--metric", default="eval/targeted", help="of the last evaluation")
    results.add_argument("--where", action="append", default=[], metavar="KEY=VALUE",
                         help="only such runs; also != < <= > >=, and lists a,b")
    results.add_argument("--group-by", action="append", default=[], metavar="KEY,KEY",
                         help="runs that agree on these are one row")
    results.add_argument("--baseline", metavar="NAME", help="compare with this row; else full")
    results.add_argument("--target", default="plateau", help="plateau, final, or an accuracy")
    results.add_argument("--details", action="store_true", help="costs by purpose instead")

    completion = commands.add_parser("completion", help="a script for your shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish", "words"),
                            metavar="bash|zsh|fish", help="or words, which the scripts ask for")
    completion.add_argument("line", nargs="?", default="", help="for words: the line so far")

    listed = commands.add_parser("runs", help="runs and how far they are")
    listed.add_argument("paths", type=Path, nargs="*", default=[Path("runs")])
    listed.add_argument("--json", action="store_true")

    diff = commands.add_parser("diff", help="what two runs differ in")
    diff.add_argument("one", type=Path, metavar="RUN1", help="a run folder")
    diff.add_argument("other", type=Path, metavar="RUN2", help="another")
    diff.add_argument("--all", action="store_true", help="also what is equal, every metric")

    rerun = commands.add_parser("rerun", help="repeat a run from its own frozen configuration")
    rerun.add_argument("run", type=Path, help="a run folder")
    rerun.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as cache=FOLDER")
    rerun.add_argument("--runs", metavar="FOLDER", help="where to run it again; else reruns/")

    report = commands.add_parser("report", help="one HTML page of what runs found")
    report.add_argument("paths", type=Path, nargs="+", help="run folders, or folders of runs")
    report.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE")
    report.add_argument("--figures", type=Path, metavar="FOLDER", help="also as SVG and PNG")
    report.add_argument("--baseline", metavar="NAME", help="compare with this row; else full")
    report.add_argument("--target", default="plateau", help="plateau, final, or an accuracy")
    report.add_argument("--where", action="append", default=[], metavar="KEY=VALUE")
    return parser


def _composed(parser: argparse.ArgumentParser, example: str) -> None:
    """A command that composes a configuration: overrides, and a folder of the user's own."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=f"such as {example}")
    parser.add_argument("--config-dir", type=Path, help="a folder with groups of your own")


def _run_folder(path: Path, holds: Sequence[str] = ("manifest.json",)) -> Path:
    if any((path / name).exists() for name in holds):
        return path
    siblings = [str(found.parent) for found in path.absolute().parent.glob("*/manifest.json")]
    near = did_you_mean(str(path.absolute()), siblings)
    raise CropiError(f"{path}: is not the folder of a run{near}")
