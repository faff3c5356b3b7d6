"""What ``cropi --help`` and ``cropi list`` print, read from the configuration files."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

from cropi import catalogue
from cropi.runtime.errors import CropiError, did_you_mean

COMMANDS = {
    "list [GROUP]": "every option of every group, or of one",
    "config [GROUP]": "every key of every option with its meaning and default, as YAML",
    "doctor": "is this machine ready: versions, devices, folders, W&B, extras",
    "verify CASES [verifier=math]": "grade a .jsonl file of id, gold and prediction; - is stdin",
    "data check [benchmark=gsm8k]": "can a benchmark be trusted: golds, duplicates, overlaps",
    "tune KEY=interval(A,B) ...": "search for good values with Optuna; resumable",
    "runs [PATH...] [--json]": "what lies there: state, steps, method, seed, accuracy, age, size",
    "results PATH... [--plot FILE]": "a table of finished runs, mean and interval over seeds",
    "report PATH... [--out FILE]": "one HTML page: curves, tables, selections, costs",
    "diff RUN1 RUN2 [--all]": "what two runs differ in: keys, versions, data, model, metrics",
    "rerun RUN [--runs FOLDER]": "repeat a run from its own frozen configuration, and compare",
    "rollouts show RUN --prompt ID": "a prompt's stored completions and their verdicts",
    "selection show RUN --phase N --top K": "which prompts a phase chose, and why",
    "completion bash|zsh|fish": "a script that completes commands, groups, options and keys",
}

FLAGS = {
    "-m, --multirun": "one experiment for every combination of a=1,2 b=x,y",
    "--config-dir DIR": "add your own groups: DIR/selector/mine.yaml is selector=mine",
    "--cfg job [--resolve]": "print the composed configuration, run nothing",
    "--info defaults-tree": "print where each part of it comes from",
    "--hydra-help": "Hydra's own flags",
    "--version": "the version of cropi",
}

EXAMPLES = {
    "the default experiment, on a CPU": "cropi",
    "another selector and budget": "cropi selector=random selector.alpha=0.2 seed=1",
    "two selectors, three seeds each": "cropi -m selector=learnability,full seed=0,1,2",
}


def help_text() -> str:
    """The whole help."""
    sections = [
        "cropi: which prompts are worth training on?",
        "Usage\n"
        "  cropi [GROUP=OPTION ...] [KEY=VALUE ...]   run an experiment; the same command again\n"
        "                                             continues it, or prints its result\n"
        "  cropi COMMAND ...",
        _table("Commands", COMMANDS),
        _table("Flags of a run", FLAGS),
        "Groups and their options (* is the default)\n\n" + list_text(),
        _table("Keys, with their defaults (those of the options: `cropi config GROUP`)", _keys()),
        "Examples\n" + "\n".join(f"  {line}\n      {what}" for what, line in EXAMPLES.items()),
    ]
    return "\n\n".join(sections) + "\n"


def list_text(group: str | None = None, config_dir: Path | None = None) -> str:
    """The options of one group or of all. Raises CropiError for a group that is not there."""
    groups = catalogue.options(config_dir)
    if group is not None and group not in groups:
        raise CropiError(
            f"{group}: there is no such group{did_you_mean(group, groups)}; "
            f"the groups are {', '.join(groups)}"
        )
    chosen = groups if group is None else {group: groups[group]}
    defaults = catalogue.defaults()
    blocks = []
    for name, options in chosen.items():
        question = catalogue.QUESTIONS.get(name)
        table = {
            f"{option.name}{' *' if defaults.get(name) == option.name else ''}": option.description
            for option in options.values()
        }
        blocks.append(_table(f"{name}{f': {question}' if question else ''}", table, indent=2))
    return "\n\n".join(blocks)


def _keys() -> dict[str, str]:
    return {
        key.path if key.value is None else f"{key.path}={key.value}": key.comment
        for key in catalogue.keys(catalogue.root_text())
        if key.path.partition(".")[0] not in ("defaults", "hydra") and key.path[-1] != "_"
    }


def _table(title: str, rows: dict[str, str], *, indent: int = 0) -> str:
    width = min(max(shutil.get_terminal_size().columns, 72), 110)
    column = min(max((len(name) for name in rows), default=0), 24) + indent + 4
    lines = [" " * indent + title]
    for name, text in rows.items():
        head = " " * (indent + 2) + name
        wrapped = textwrap.wrap(
            text, width, initial_indent=" " * column, subsequent_indent=" " * column
        )
        if len(head) + 2 > column or not wrapped:
            lines += [head, *wrapped]
        else:
            lines += [head + wrapped[0][len(head) :], *wrapped[1:]]
    return "\n".join(lines)
