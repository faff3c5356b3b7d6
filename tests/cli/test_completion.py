"""The Tab key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cropi.cli import main
from cropi.completion import SCRIPTS, words


@pytest.mark.parametrize(("line", "expected"), [
    ("cropi sel", ["selection", "selector.", "selector="]),
    ("cropi selector=cr", ["selector=cropi"]),
    ("cropi -m selector=cropi,ra", ["selector=cropi,random"]),
    ("cropi list sel", ["selector"]),
    ("cropi config tr", ["tracker", "trainer"]),
    ("cropi selector=random selector.al", ["selector.alpha="]),
    ("cropi selector.rrf", ["selector.rrf_constant=", "selector.rrf_within_budget="]),
    ("cropi selector=random selector.rrf", []),
    ("cropi verify cases.jsonl verifier=num", ["verifier=numeric"]),
    ("cropi sweep=al", ["sweep=alpha"]),
    ("cropi jobs.", ["jobs.on_error=", "jobs.retries=", "jobs.slots="]),
    ("cropi jo", ["jobs."]),
    ("cropi offline.sampling.to", ["offline.sampling.top_k=", "offline.sampling.top_p="]),
    ("cropi dry_run=", ["dry_run=false", "dry_run=true"]),
    ("cropi checkpoint_every=", ["checkpoint_every=20"]),
    ("cropi sour", []),  # a group, but not one of the root
    ("cropi --he", ["--help"]),
    ("cropi -", ["--cfg", "--config-dir", "--help", "--hydra-help", "--info", "--multirun",
                 "--resolve", "--version", "-m"]),
    ("cropi results runs --form", ["--format"]),
    ("cropi data check --js", ["--json"]),
    ("cropi selection show runs/a --t", ["--top"]),
    ("cropi data ", ["check"]),
    ("cropi completion ", ["bash", "fish", "zsh"]),
    ("cropi completion b", ["bash"]),
    ("cropi nothing_like_this", []),
    ("cropi results ", []),  # the shell completes folders
    ("cropi debu", ["debug="]),  # presets have no keys of their own
])
def test_words(line: str, expected: list[str]) -> None:
    assert words(line) == expected


def test_an_empty_word_offers_everything() -> None:
    found = words("cropi ")
    assert {"list", "doctor", "rerun", "selector=", "seed=", "offline."} <= set(found)
    assert not [word for word in found if "_target_" in word or word.startswith("hydra")]
    assert "selector.alpha=" not in found


def test_commands_that_take_a_run_are_offered_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one-0123abcd", "two-0123abcd"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "manifest.json").touch()
    assert words("cropi diff runs/one-0123abcd ru") == ["runs/one-0123abcd", "runs/two-0123abcd"]
    assert words("cropi selection show runs/t") == ["runs/two-0123abcd"]
    assert words("cropi rerun runs/o") == ["runs/one-0123abcd"]
    assert words("cropi rerun runs/one-0123abcd cach") == ["cache="]


def test_it_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from cropi.cli import main; main(['completion', 'words', sys.argv[1]]);"
        "print({'torch', 'hydra', 'omegaconf', 'transformers', 'numpy'} & set(sys.modules))"
    )

    def seconds(line: str) -> float:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "cropi", "completion", "words", line],
            capture_output=True, check=True,
        )  # fmt: skip
        return time.perf_counter() - began

    for line in ("cropi ", "cropi selector.", "cropi results --"):
        shown = subprocess.run(
            [sys.executable, "-c", code, line], capture_output=True, text=True, check=True
        )
        assert shown.stdout.splitlines()[-1] == "set()"
        assert min(seconds(line) for _ in range(3)) < 0.5


def test_scripts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for shell, script in SCRIPTS.items():
        assert main(["completion", shell]) == 0
        assert capsys.readouterr().out.rstrip() == script.rstrip()


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``cropi`` is this one, and a file with the script of each shell."""
    (tmp_path / "cropi").write_text(f'#!/bin/sh\nexec {sys.executable} -m cropi "$@"\n')
    (tmp_path / "cropi").chmod(0o755)
    for name, script in SCRIPTS.items():
        (tmp_path / name).write_text(script)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SCRIPTS": str(tmp_path)}


@pytest.mark.parametrize(("typed", "becomes"), [
    ("cropi selector=learnal", "cropi selector=learnalign "),
    ("cropi doc", "cropi doctor "),
    ("cropi selector.alp", "cropi selector.alpha="),  # no space: a value follows
    ("cropi seed=1 selector=random,learnal", "cropi seed=1 selector=random,learnalign "),
    ("cropi results folder_o", "cropi results folder_of_runs/"),
])
def test_bash_itself_completes(
    shell: dict[str, str], tmp_path: Path, typed: str, becomes: str
) -> None:
    """A real interactive bash, in a terminal of its own, is sent the Tab key."""
    import pty

    (tmp_path / "folder_of_runs").mkdir()
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave,
        env={**shell, "PS1": "$ ", "TERM": "dumb", "INPUTRC": "/dev/null"}, cwd=tmp_path,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        # What the line has become is printed as words, and by the end of it the space too.
        os.write(master, b"bind 'set enable-bracketed-paste off'; source $SCRIPTS/bash\n")
        time.sleep(0.5)
        os.write(master, f"{typed}\t".encode())
        shown = _until(master, typed, seconds=20)
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert shown.endswith(becomes), shown


def _until(master: int, typed: str, *, seconds: float) -> str:
    """What the terminal shows once nothing has come for a while after more than ``typed``."""
    import select

    shown, deadline = "", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([master], [], [], 1.5)[0]:
            shown += os.read(master, 4096).decode(errors="replace")
        elif typed in shown and not shown.endswith(typed):
            break
    return shown.replace("\r", "").replace("\a", "")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_its_script(shell: dict[str, str]) -> None:
    ask = (
        "compdef() { }; source $SCRIPTS/zsh; compadd() { shift ${@[(i)--]}; print -l -- $@ }; "
        "words=(cropi selector=le); CURRENT=2; PREFIX=selector=le; _cropi"
    )
    shown = subprocess.run(["zsh", "-fc", ask], capture_output=True, text=True, env=shell)
    assert shown.stdout.split() == ["selector=learnability", "selector=learnalign"], shown.stderr


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes(shell: dict[str, str]) -> None:
    ask = "source $SCRIPTS/fish; complete -C 'cropi selector=le'"
    shown = subprocess.run(["fish", "-N", "-c", ask], capture_output=True, text=True, env=shell)
    assert shown.stdout.split() == ["selector=learnability", "selector=learnalign"], shown.stderr
