"""The Tab key."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cropi.completion import SCRIPTS, words


@pytest.mark.parametrize(("line", "expected"), [
    ("cropi sel", ["selection", "selector="]),
    ("cropi selector=cr", ["selector=cropi"]),
    ("cropi -m selector=cropi,ra", ["selector=cropi,random"]),
    ("cropi list sel", ["selector"]),
    ("cropi selector=random selector.al", ["selector.alpha="]),
    ("cropi selector.rrf", ["selector.rrf_constant=", "selector.rrf_within_budget="]),
    ("cropi selector=random selector.rrf", []),
    ("cropi verify cases.jsonl verifier=num", ["verifier=numeric"]),
    ("cropi sweep=al", ["sweep=alpha"]),
    ("cropi jobs.", ["jobs.on_error=", "jobs.retries=", "jobs.slots="]),
    ("cropi --he", []),
    ("cropi nothing_like_this", []),
])
def test_words(line: str, expected: list[str]) -> None:
    assert words(line) == expected


def test_an_empty_word_offers_everything() -> None:
    found = words("cropi ")
    assert {"list", "doctor", "selector=", "seed=", "offline="} <= set(found)
    assert not [word for word in found if "_target_" in word or word.startswith("hydra")]


def test_it_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from cropi.cli import main; main(['completion', 'words', 'cropi selector=c']);"
        "print({'torch', 'hydra', 'transformers'} & set(sys.modules))"
    )
    began = time.process_time()
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "selector=cropi\nset()\n"
    assert time.process_time() - began < 1.0


def test_bash_itself_completes(tmp_path: Path) -> None:
    (tmp_path / "cropi").write_text(f"#!/bin/sh\nexec {sys.executable} -m cropi \"$@\"\n")
    (tmp_path / "cropi").chmod(0o755)
    (tmp_path / "script").write_text(SCRIPTS["bash"])
    ask = (
        f"export PATH={tmp_path}:$PATH; source {tmp_path}/script; compopt() {{ :; }}; "
        "COMP_LINE='cropi selector=le'; COMP_POINT=${#COMP_LINE}; "
        "COMP_WORDS=(cropi selector = le); COMP_CWORD=3; _cropi; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    shown = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["learnability", "learnalign"]
