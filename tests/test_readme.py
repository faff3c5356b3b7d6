"""What the README tells people to type is what cropi understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cropi import commands
from cropi.composition import Composer
from cropi.configuration import assemble

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def lines() -> list[list[str]]:
    """Every ``cropi …`` line of the shell blocks, continued lines joined, comments cut."""
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    found = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [words[1:] for words in found if words and words[0] == "cropi"]


def test_there_is_something_to_check() -> None:
    assert len(lines()) >= 9


@pytest.mark.parametrize("words", lines(), ids=" ".join)
def test_a_command_line_of_the_readme_is_understood(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if words[0] in commands.NAMES:
        commands._parser().parse_args(words)
        return
    if words == ["--help"]:
        return
    config_dir = None
    if "--config-dir" in words:  # the example of an own selector, as it is printed
        (source,), (option,) = blocks("python"), blocks("yaml")
        (tmp_path / "my_selectors.py").write_text(source)
        config_dir = tmp_path / "conf"
        (config_dir / "selector").mkdir(parents=True)
        (config_dir / "selector" / "shortest.yaml").write_text(option)
        monkeypatch.syspath_prepend(tmp_path)
        words = words[2:]
    overrides = [word for word in words if word != "-m"]
    for job in Composer(config_dir).jobs(overrides, multirun="-m" in words):
        assemble(job.config)


def test_the_first_screen_has_the_two_commands_and_the_makefile_has_them() -> None:
    first = blocks("sh")[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo: ", makefile, re.MULTILINE)
    assert re.search(r"^test: ", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
