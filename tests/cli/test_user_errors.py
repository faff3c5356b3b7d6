"""The exact text a user sees for each mistake of hydra_ux.md section 2 that touches us.

Numbers in comments are rows of that table. Every mistake must be found before anything runs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cropi import catalogue
from cropi.cli import main

ONE = "error: the configuration has a mistake:\n  - "


@pytest.fixture(autouse=True)
def _nothing_may_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run_experiment(*_: object) -> None:
        raise AssertionError("a wrong command line started a run")

    monkeypatch.setattr("cropi.run.run_experiment", run_experiment)
    monkeypatch.chdir(tmp_path)


GOLDEN = {
    # 14: a list that the shell split at its spaces
    "list with spaces": (
        ["selector.alpha=[1,", "2]"],
        "selector.alpha=[1, 2]: the shell split this at its spaces; "
        "write 'selector.alpha=[1, 2]'",
    ),
    # 14: text that Hydra's grammar cannot read unquoted
    "braces in text": (
        ["model.template.user={question} Answer:"],
        "model.template.user={question} Answer:: cannot be read after model.template.user=; "
        "if {question} Answer: is one piece of text, quote it for Hydra and for the shell: "
        "'model.template.user=\"{question} Answer:\"'",
    ),
    "equals sign in a value": (
        ["name=a=b"],
        "name=a=b: cannot be read after name=; if a=b is one piece of text, "
        "quote it for Hydra and for the shell: 'name=\"a=b\"'",
    ),
    # 14: several values without -m
    "sweep without -m": (
        ["selector.alpha=0.1,0.3"],
        "selector.alpha=0.1,0.3: several values make several experiments; did you mean -m? "
        "Write: cropi -m selector.alpha=0.1,0.3 (one list is 'selector.alpha=[0.1,0.3]', "
        "one text with a comma \"selector.alpha='0.1,0.3'\")",
    ),
    "range without -m": (
        ["seed=range(0,3)"],
        "seed=range(0,3): several values make several experiments; did you mean -m? "
        "Write: cropi -m 'seed=range(0,3)'",
    ),
    "spaces around the equals sign": (
        ["seed", "=", "3"],
        "seed: no spaces around the equals sign; write seed=3",
    ),
    "a space after the equals sign": (
        ["seed=", "3"],
        "3: no spaces around the equals sign; write seed=3",
    ),
    "a bare word": (
        ["lst"],
        'lst: there is no such command (did you mean "list"?); keys are set with KEY=VALUE',
    ),
    "a bare word that is nearly no command": (
        ["seed"],
        "seed: is not of the form key=value, and no command; see `cropi --help`",
    ),
    "key with a dash": (
        ["--selector.alpha=0.2"],
        "--selector.alpha=0.2: keys have no dashes; write selector.alpha=0.2",
    ),
    "key misspelt": (
        ["selector.alhpa=0.2"],
        'selector.alhpa=0.2: there is no such key (did you mean "selector.alpha"?)',
    ),
    "root key misspelt": (
        ["steps_per_phas=3"],
        'steps_per_phas=3: there is no such key (did you mean "steps_per_phase"?)',
    ),
    "key without its group": (
        ["alpha=0.2"],
        'alpha=0.2: there is no such key (did you mean "selector.alpha"?)',
    ),
    "group misspelt": (
        ["selecter=full"],
        'selecter=full: there is no such key (did you mean "selector"?)',
    ),
    "key of another option": (
        ["selector=full", "selector.mode=band"],
        "selector.mode=band: selector=full has no such key, but selector=pass_rate has",
    ),
    "added key that nothing reads": (
        ["+foo=3"],
        "foo: nothing reads this key; the groups are benchmark, verifier, model, rollout, "
        "projector, engine, selector, trainer, evaluation, tracker",
    ),
    "added key that exists": (
        ["+seed=3"],
        "+seed=3: the key exists; set it without the plus: seed=3",
    ),
    "added group that exists": (
        ["+selector=full"],
        "+selector=full: the key exists; set it without the plus: selector=full",
    ),
    "deleted root key": (["~seed"], "seed: needs a value"),
    "deleted group": (
        ["~selector"],
        "selector: choose one with selector=NAME; see `cropi list selector`",
    ),
    # 16: a missing value is found before the start
    "missing value": (
        ["seed=???"],
        "seed: needs a value; add seed=VALUE (Root of every random stream. Integer >= 0.)",
    ),
    "dangling interpolation": (
        ["seed=${sed}"],
        "seed: Interpolation key 'sed' not found",
    ),
    # 18: a configuration cannot call anything but a part of the right kind
    "target that is no part": (
        ["selector._target_=os.system"],
        "selector._target_=os.system: is not a Selector; "
        "a part derives from it and is decorated with @part",
    ),
    # 17: the root cause comes first
    "target that cannot be imported": (
        ["selector._target_=absent.Mine"],
        "selector._target_=absent.Mine: cannot be imported: No module named 'absent'",
    ),
    # 26: secrets come from the environment only
    "secret on the command line": (
        ["wandb.key=0123456789abcdef"],
        "wandb.key=…: looks like a secret, and would end in the shell's history and in the run's "
        "files; set an environment variable instead (WANDB_API_KEY)",
    ),
    "added secret": (
        ["+model.hf_token=hf_abc"],
        "model.hf_token=…: looks like a secret, and would end in the shell's history and in the "
        "run's files; set an environment variable instead (HF_TOKEN for Hugging Face)",
    ),
    "pickled rerun": (
        ["--experimental-rerun", "config.pickle"],
        "--experimental-rerun: reads a pickle, which can run any code; "
        "to repeat a run, repeat its command",
    ),
    "config path": (
        ["--config-path", "conf"],
        "--config-path: would replace cropi's groups; --config-dir adds yours",
    ),
    "wrong type": (
        ["seed=one"],
        "seed='one': input should be a valid integer (Root of every random stream. Integer >= 0.)",
    ),
    "out of range": (
        ["phases=0"],
        "phases=0: input should be greater than or equal to 1 (How often prompts are scored and "
        "selected anew (the paper's M). Integer >= 1.)",
    ),
    "option out of range": (
        ["selector.alpha=1.5"],
        "selector.alpha=1.5: input should be less than or equal to 1 (Share of the pool, rounded "
        "down to whole prompts. In (0, 1].)",
    ),
    "folder as a number": (["runs=3"], "runs=3: should be a folder, as text"),
    "name with a slash": (
        ["name=a/b"],
        "name='a/b': should be usable as a folder's name: no slash, not only dots",
    ),
    "no option": (
        ["selector=[]"],
        "selector: choose one with selector=NAME; see `cropi list selector`",
    ),
    # 14 in a sweep: checked for every job, said once
    "sweep over a missing key": (
        ["-m", "seed=0,1", "selector.alhpa=0.2"],
        'selector.alhpa=0.2: there is no such key (did you mean "selector.alpha"?)',
    ),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_text(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, expected = GOLDEN[case]
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"{ONE}{expected}\n"


def test_unknown_option_lists_all_with_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    # 15
    assert main(["selector=learnabilty"]) == 2
    first, *listed = capsys.readouterr().err.splitlines()[1:]
    assert first == (
        '  - selector=learnabilty: there is no such selector (did you mean "learnability"?); '
        "choose one of"
    )
    options = catalogue.options()["selector"]
    assert [line.split() for line in listed] == [
        [name, *option.description.split()] for name, option in options.items()
    ]


@pytest.mark.parametrize("value", ["null", "3", "sub/option"])
def test_what_is_no_name_of_an_option(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"selector={value}"]) == 2
    assert f"selector={value}: there is no such selector" in capsys.readouterr().err


def test_unknown_option_in_a_sweep_is_found_before_the_first_job(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["-m", "selector=full,learnabilty"]) == 2
    assert 'selector=learnabilty: there is no such selector (did you mean "learnability"?)' in (
        capsys.readouterr().err
    )


def test_all_mistakes_are_reported_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    main(["selector.alhpa=1", "steps_per_phas=1", "selector.mode=band"])
    assert len(capsys.readouterr().err.splitlines()) == 1 + 3
    main(["seed=-1", "phases=0", "offline.samples=0", "selector.alpha=0", "name=..", "runs=1"])
    err = capsys.readouterr().err
    assert "has 6 mistakes" in err
    for key in ("seed", "phases", "offline.samples", "selector.alpha", "name", "runs"):
        assert f"- {key}=" in err


def test_a_secret_is_never_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tracker.api_key=s3cr3t", "+password=hunter2"])
    seen = "".join(capsys.readouterr())
    assert "s3cr3t" not in seen
    assert "hunter2" not in seen


def test_missing_config_dir_names_the_absolute_path(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # 19
    assert main(["--config-dir", "myconf"]) == 2
    assert capsys.readouterr().err == (
        f"{ONE}--config-dir=myconf: there is no folder {tmp_path / 'myconf'}\n"
    )


def test_own_option_cannot_hide_behind_a_packaged_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    option = tmp_path / "myconf" / "selector" / "full.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("# Mine.\n_target_: my_module.Mine\n")
    assert main(["--config-dir", "myconf", "selector=full"]) == 2
    assert capsys.readouterr().err == (
        f"{ONE}{option}: selector=full is an option of cropi; choose another name\n"
    )


def test_preset_with_defaults_in_the_wrong_order_points_to_the_tree(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # 20
    preset = tmp_path / "myconf" / "experiment" / "wrong.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text(
        "# @package _global_\n# Wrong order.\ndefaults:\n"
        "  - override /selector: full\n  - /selector: random\n"
    )
    assert main(["--config-dir", "myconf", "experiment=wrong"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"{ONE}In experiment/wrong: Override")
    assert "--info defaults-tree" in err


def test_missing_extra_gives_the_pip_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 17
    (tmp_path / "wants_vllm.py").write_text("import vllm_of_cropi\n")
    monkeypatch.setattr(
        "cropi.configuration.requires", lambda _: ['vllm-of-cropi>=1; extra == "vllm"']
    )
    assert main(["rollout._target_=wants_vllm.Mine"]) == 2
    assert capsys.readouterr().err == (
        f"{ONE}rollout._target_=wants_vllm.Mine: cannot be imported: "
        "No module named 'vllm_of_cropi'; pip install 'cropi[vllm]'\n"
    )


def test_python_that_hydra_cannot_start_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # 1
    monkeypatch.setattr("sys.version_info", (3, 14, 0, "final", 0))
    assert main([]) == 1
    assert capsys.readouterr().err == (
        "error: Python 3.14 is not supported by hydra-core 1.3; use Python 3.11, 3.12 or 3.13\n"
    )


@pytest.mark.parametrize("variable", ["CROPI_TRACEBACK", "HYDRA_FULL_ERROR"])
def test_traceback_on_request(
    variable: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["seed=-1"])
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv(variable, "1")
    main(["seed=-1"])
    assert "Traceback" in capsys.readouterr().err
