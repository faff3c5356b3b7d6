"""What a user sees, to the letter, for the mistakes of hydra_ux.md section 2 that touch us.

``golden/NAME.txt`` is the command line and everything it prints; folders are normalised. After a
message was changed on purpose: CROPI_UPDATE_GOLDEN=1 pytest tests/cli/test_golden_messages.py,
and read the difference.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from cropi import catalogue
from cropi.cli import main

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs in it. No experiment may start: mistakes are found before."""

    def run_experiment(*_: object) -> None:
        raise AssertionError("a wrong command line started a run")

    monkeypatch.setattr("cropi.run.run_experiment", run_experiment)
    monkeypatch.setenv("COLUMNS", "100")
    folder = tmp_path / "here"
    for name in ("full-seed0-0123abcd", "full-seed1-4567cdef"):
        run = folder / "runs" / name
        run.mkdir(parents=True)
        (run / "manifest.json").write_text(json.dumps({
            "run_id": name, "choices": {"selector": "full"}, "config": {"seed": int(name[9])},
            "environment": {},
        }))
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder)
    return folder


def older_python(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 14, 0, "final", 0))


def other_antlr(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``pip install 'lm-eval[math]'`` brought its own antlr, and nothing else is amiss."""
    from cropi import doctor

    monkeypatch.setattr("cropi.doctor.metadata.version", lambda _: "4.11.1")
    monkeypatch.setattr("cropi.doctor._who_pins", lambda *_: ["lm-eval"])
    monkeypatch.setattr("cropi.doctor.findings", lambda: iter([doctor._antlr()]))


def no_trackio(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cropi.tracking.mirror.find_spec", lambda _: None)


def own_module(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "needs_trl.py").write_text("import trl_of_cropi\n")
    monkeypatch.setattr("cropi.configuration.requires", lambda _: ['trl-of-cropi; extra == "trl"'])


def wrong_order(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = here / "mine" / "experiment" / "wrong.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text(
        "# @package _global_\n# Wrong order.\ndefaults:\n"
        "  - override /selector: full\n  - /selector: random\n"
    )


def broken_yaml(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    option = here / "mine" / "selector" / "mine.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("# Mine.\nalpha: [1,\n")


def torchrun(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)


def latin_yaml(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    option = here / "mine" / "selector" / "mine.yaml"
    option.parent.mkdir(parents=True)
    option.write_bytes("# Les invités préférés.\nalpha: 1\n".encode("latin-1"))
    (option.parent / "list.yaml").write_text("- alpha\n- beta\n")
    (option.parent / "twice.yaml").write_text("# Twice.\nalpha: {a: 1,\n  b: 2\nbeta: 1\n")


def broken_interpolation(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    option = here / "mine" / "selector" / "mine.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("# Mine.\n_target_: mine.Mine\nalpha: ${alpha\n")


Setup = Callable[[Path, pytest.MonkeyPatch], None]
# name -> (number in hydra_ux.md section 2, command line, what is the matter besides)
CASES: dict[str, tuple[int, str, Setup | None]] = {
    "python_that_is_too_new": (1, "", older_python),
    "antlr_of_another_package": (2, "doctor", other_antlr),
    "several_values_without_m": (14, "selector.alpha=0.1,0.3", None),
    "list_split_by_the_shell": (14, "evaluation.pass_at=[1, 4]", None),
    "spaces_around_equals": (14, "seed = 3", None),
    "text_that_needs_quotes": (14, "'model.template.user={question} = ?'", None),
    "interval_in_a_sweep": (14, "-m 'selector.alpha=interval(0.1,0.5)'", None),
    "interval_without_m": (14, "'selector.alpha=interval(0.1,0.5)' seed=1", None),
    "option_misspelt": (15, "selector=cropy", None),
    "option_misspelt_in_a_sweep": (15, "-m selector=full,cropy seed=0,1", None),
    "key_misspelt": (15, "selector.alhpa=0.2", None),
    "key_of_another_option": (15, "selector=full selector.rrf_constant=60", None),
    "value_misspelt": (15, "selector.fusion=rff", None),
    "preset_and_keys_misspelt": (15, "experiment=dmo selector.alhpa=1 sed=1 phasis=2", None),
    "wrong_type": (15, "steps_per_phase=ten", None),
    "out_of_range": (15, "selector.alpha=1.5", None),
    "two_kinds_of_mistakes": (15, "selector=cropy sed=1 model=tinny", None),
    "several_wrong_values": (15, "seed=-1 phases=0 projector.keep=2 trainer.epochs=0.5", None),
    "command_misspelt": (15, "reslts runs", None),
    "missing_values": (16, "benchmark=local verifier=python_function", None),
    "module_that_is_absent": (17, "selector._target_=absent_module.Mine", None),
    "module_without_the_class": (17, "selector._target_=cropi.selectors.cropi.Crop", None),
    "extra_not_installed": (17, "tracker=trackio", no_trackio),
    "import_error_in_a_target": (17, "trainer._target_=needs_trl.Mine", own_module),
    "target_that_is_no_part": (18, "selector._target_=os.system", None),
    "part_of_another_kind": (18, "selector._target_=cropi.tracking.none.NoTracker", None),
    "config_dir_is_absent": (19, "--config-dir mine selector=mine", None),
    "data_file_is_absent": (
        19, "data check benchmark=local benchmark.train_file=absent.csv benchmark.test_file=b", None
    ),
    "defaults_in_the_wrong_order": (20, "--config-dir mine experiment=wrong", wrong_order),
    "broken_yaml": (20, "--config-dir mine selector=mine", broken_yaml),
    "three_broken_files": (20, "--config-dir mine selector=mine", latin_yaml),
    "broken_interpolation": (20, "--config-dir mine selector=mine", broken_interpolation),
    "flag_of_torchrun": (23, "--local_rank=0 seed=1", None),
    "started_by_torchrun": (23, "seed=1", torchrun),
    "flag_instead_of_key": (23, "--seed 3", None),
    "config_path": (24, "--config-path conf", None),
    "secret": (26, "tracker.api_key=0123456789abcdef", None),
    "results_of_nothing": (27, "results empty", None),
    "results_of_no_folder": (27, "results run", None),
    "no_run_folder": (27, "selection show runs/full-seed0-0123abcc", None),
    "rerun_of_another_experiment": (27, "rerun runs/full-seed0-0123abcd seed=1", None),
    "diff_of_one_run": (27, "diff runs/full-seed0-0123abcd ./runs/full-seed0-0123abcd", None),
    "diff_of_too_few": (27, "diff runs/full-seed0-0123abcd", None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_the_user_sees(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, line, setup = CASES[name]
    if setup is not None:
        setup(here, monkeypatch)
    try:
        code = main(shlex.split(line))
    except SystemExit as stopped:  # argparse's own
        code = int(stopped.code or 0)
    seen = capsys.readouterr()
    assert code in (1, 2)
    shown = f"$ cropi {line}".rstrip() + f"\n{seen.out}{seen.err}[exit code {code}]\n"
    for folder, word in ((here, "HERE"), (catalogue.conf_folder().parent, "CROPI")):
        shown = shown.replace(str(folder), word)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("CROPI_UPDATE_GOLDEN") == "1":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)
    assert len({number for number, _, _ in CASES.values()}) >= 10


def test_no_traceback_no_hydra_words_no_secret() -> None:
    """What golden texts must never come to hold, even when they are written anew."""
    for path in GOLDEN.iterdir():
        _command, *shown = path.read_text(encoding="utf-8").splitlines()
        text = "\n".join(shown)
        for word in ("Traceback", "HYDRA_FULL_ERROR", "OmegaConf", "pydantic", "0123456789abcdef"):
            assert word not in text, path
