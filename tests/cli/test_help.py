"""The help is quick, complete, and read from the configuration files."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cropi import catalogue
from cropi.cli import main
from cropi.commands import NAMES

HEAVY = ("torch", "hydra", "omegaconf", "transformers", "pydantic", "wandb", "numpy")


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["config"]])
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    # hydra_ux.md, failure 27
    code = (
        "import sys; from cropi.cli import main; main(sys.argv[1:]); "
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


def test_help_takes_less_than_a_second_and_a_half() -> None:
    def seconds() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "cropi", "--help"], capture_output=True, check=True)
        return time.perf_counter() - began

    assert min(seconds() for _ in range(3)) < 1.5


def test_composing_does_not_import_torch() -> None:
    code = (
        "import sys; from cropi.cli import main; "
        "assert main(['--cfg', 'job', 'selector=full']) == 0; "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "_target_: baselines.full.Full" in done.stdout


def test_help_names_every_group_option_key_and_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    words = " ".join(text.split())
    for group, options in catalogue.options().items():
        assert f"\n  {group}" in text
        for option in options.values():
            assert option.description, option.path
            assert " ".join(option.description.split()[:4]) in words
    for key in catalogue.keys(catalogue.root_text()):
        root = key.path.partition(".")[0]
        if root not in ("defaults", "hydra") and not key.path.endswith("_target_"):
            assert f"\n  {key.path}" in text
            assert " ".join(key.comment.split()[:4]) in words
    for command in NAMES:
        assert f"\n  {command} " in text or f"\n  {command}\n" in text
    assert text.count("\n  cropi ") >= 3


def test_list_shows_one_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "selector"]) == 0
    text = capsys.readouterr().out
    assert "full " in text
    assert "wandb" not in text


def test_list_shows_own_options(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    option = tmp_path / "selector" / "mine.yaml"
    option.parent.mkdir()
    option.write_text("# The prompts I like.\n_target_: my_module.Mine\n")
    assert main(["list", "selector", "--config-dir", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "The prompts I like." in text
    assert "full " in text


def test_unknown_group_is_a_failure_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("list", "config"):
        assert main([command, "selecter"]) == 1
        assert 'error: selecter: there is no such group (did you mean "selector"?)' in (
            capsys.readouterr().err
        )


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from cropi import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cropi {__version__}\n"


def test_a_folder_that_is_no_run_suggests_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "mine-0123abcd"
    run.mkdir(parents=True)
    (run / "manifest.json").write_text("{}")
    wrong = str(run.with_name("mine-0123abcc"))
    assert main(["selection", "show", wrong, "--phase", "0"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert f'is not the folder of a run (did you mean "{run}"?)' in err
