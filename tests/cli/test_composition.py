"""What a command line asks for: one job, a sweep, a preset's sweep, a user's own part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cropi.composition import Composer, compose
from cropi.configuration import assemble
from cropi.runtime.errors import ConfigError

MINE = """\
from cropi.contracts import Selector, Share
from cropi.runtime.parts import part

@part
class Mine(Selector):
    alpha: Share
    refresh: str
    taste: int

    def score(self, pool, context): ...
    def select(self, scores, budget): ...
"""
MINE_YAML = """\
# The prompts I like.
_target_: my_module.Mine

# Share of the pool.
alpha: 0.5

# once or phase.
refresh: once

# How picky.
taste: 3
"""


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A working directory with my_module.py and myconf/selector/mine.yaml."""
    (tmp_path / "my_module.py").write_text(MINE)
    (tmp_path / "myconf" / "selector").mkdir(parents=True)
    (tmp_path / "myconf" / "selector" / "mine.yaml").write_text(MINE_YAML)
    return tmp_path


def test_one_job() -> None:
    (job,) = Composer().jobs(["seed=4", "selector=full"], multirun=False)
    assert (job.config.seed, job.config.selector._target_) == (4, "baselines.full.Full")
    assert "hydra" not in compose(["seed=4"])


def test_sweep_is_every_combination_in_order() -> None:
    jobs = Composer().jobs(["selector=random,full", "seed=range(0,2)", "phases=2"], multirun=True)
    assert [job.overrides for job in jobs] == [
        (f"selector={selector}", f"seed={seed}", "phases=2")
        for selector in ("random", "full") for seed in (0, 1)
    ]  # fmt: skip
    assert [job.config.seed for job in jobs] == [0, 1, 0, 1]


def test_glob_sweeps_over_all_options() -> None:
    jobs = Composer().jobs(["trainer=glob(*grpo*)"], multirun=True)
    assert ("trainer=grpo",) in [job.overrides for job in jobs]


def test_preset_can_ask_for_a_sweep(tmp_path: Path) -> None:
    preset = tmp_path / "experiment" / "seeds.yaml"
    preset.parent.mkdir()
    preset.write_text(
        "# @package _global_\n# Three seeds.\nphases: 1\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1,2'}}}\n"
    )
    jobs = Composer(tmp_path).jobs(["experiment=seeds", "selector=full"], multirun=False)
    assert [(job.config.seed, job.config.phases) for job in jobs] == [(0, 1), (1, 1), (2, 1)]


def test_debug_wins_over_experiment_and_the_command_line_over_both() -> None:
    # hydra_ux.md, failure 20
    assert compose(["experiment=demo"]).phases == 4
    assert compose(["experiment=demo", "debug=tiny"]).phases == 2
    assert compose(["debug=tiny", "phases=4", "experiment=demo"]).phases == 4


def test_groups_from_hydra_s_search_path(own_folder: Path) -> None:
    path = f"hydra.searchpath=[file://{own_folder / 'myconf'}]"
    assert compose([path, "selector=mine", "selector.taste=4"]).selector.taste == 4


def test_mistake_of_one_job_only_is_found() -> None:
    with pytest.raises(ConfigError, match="selector=full has no such key"):
        Composer().jobs(["selector=pass_rate,full", "selector.mode=band"], multirun=True)


@pytest.mark.parametrize("lists", ["selector={alpha: 0.3}", "selector.alpha=0.3"])
def test_nested_and_dotted_values(lists: str) -> None:
    assert compose([lists]).selector.alpha == 0.3


def test_a_new_entry_of_a_free_mapping_needs_a_plus() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["tracker=several", "tracker.trackers.mine=1"])
    assert caught.value.problems == [
        "tracker.trackers.mine=1: there is no such entry yet; "
        "add it with a plus: +tracker.trackers.mine=1"
    ]


def test_own_part_is_composed_and_built(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(own_folder))
    cfg = compose(["selector=mine", "selector.taste=5"], config_dir=own_folder / "myconf")
    assert assemble(cfg)[1].selector.taste == 5  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"did you mean \"selector.taste\""):
        compose(["selector=mine", "selector.tast=5"], config_dir=own_folder / "myconf")


@pytest.mark.parametrize("command", ["console script", "python -m"])
def test_own_part_from_the_shell(own_folder: Path, command: str) -> None:
    """my_module.py is found in the working directory even by the console script."""
    script = Path(sys.executable).with_name("cropi")
    start = [str(script)] if command == "console script" else [sys.executable, "-m", "cropi"]

    def cropi(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*start, "--config-dir", "myconf", "selector=mine", *arguments],
            cwd=own_folder, capture_output=True, text=True, check=False,
        )  # fmt: skip

    shown = cropi("--cfg", "job", "-p", "selector")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "_target_: my_module.Mine" in shown.stdout
    wrong = cropi("selector.taste=much")
    assert wrong.returncode == 2
    assert "selector.taste='much': input should be a valid integer" in wrong.stderr
    assert not (own_folder / "runs").exists()


@pytest.mark.parametrize(("benchmark", "design"), [
    ("arithmetic", "curriculum"), ("arithmetic_aligned", "aligned"), ("gsm8k", "curriculum"),
])  # fmt: skip
def test_the_tiny_model_is_warm_started_on_the_benchmark_s_design(
    benchmark: str, design: str
) -> None:
    assert compose([f"benchmark={benchmark}", "model=tiny"]).model.design == design


def _mistaken(*arguments: str, multirun: bool = False, config_dir: Path | None = None) -> list[str]:
    """What comes before the first colon of every mistake."""
    with pytest.raises(ConfigError) as caught:
        Composer(config_dir).jobs(arguments, multirun=multirun)
    return [problem.partition(":")[0] for problem in caught.value.problems]


def test_a_misspelt_option_hides_no_other_mistake() -> None:
    """But keys that only the option that was meant may have are let be."""
    assert _mistaken(
        "selector=cropy", "selector.taste=3", "sed=1", "offline.sample=2", "projector.kep=1"
    ) == ["selector=cropy", "sed=1", "offline.sample=2", "projector.kep=1"]
    assert _mistaken("selector=full,cropy", "sed=1", multirun=True) == ["sed=1", "selector=cropy"]


@pytest.mark.parametrize("group", ["experiment", "debug", "sweep"])
def test_under_a_misspelt_preset_only_root_keys_are_sure(group: str) -> None:
    """The preset that was meant may choose an option with such a key."""
    assert _mistaken(f"{group}=dmo", "selector.taste=3", "sed=1") == [f"{group}=dmo", "sed=1"]


def test_an_interval_among_experiments_points_to_tune() -> None:
    line = "selector.alpha=tag(log,interval(0.1,0.5))"
    for multirun in (True, False):
        with pytest.raises(ConfigError) as caught:
            Composer().jobs([line, "seed=1"], multirun=multirun)
        (problem,) = caught.value.problems
        assert f"cropi tune '{line}'" in problem
        assert "-m" not in problem


@pytest.mark.parametrize(("text", "problem"), [
    ("defaults: {a: b}\n",
     "Invalid defaults list in 'experiment/mine', defaults must be a list (got mapping)"),
    ("defaults:\n  - /selector: absent\n",
     "In 'experiment/mine': Could not find 'selector/absent' Available options in 'selector': "
     "cropi full gradalign influence learnability learnalign pass_rate random"),
    ("defaults:\n  - override selector: full\n",
     "In 'experiment/mine': Could not override 'experiment/selector@selector'. No match in the "
     "defaults list. A preset names other groups with a slash: override /selector: full"),
    ("hydra: {absent: 3}\n",
     "hydra.absent: In 'experiment/mine': ConfigKeyError raised while composing config: "
     "Key 'absent' not in 'HydraConf'"),
])  # fmt: skip
def test_what_hydra_says_of_a_preset_is_one_line(text: str, problem: str, tmp_path: Path) -> None:
    preset = tmp_path / "experiment" / "mine.yaml"
    preset.parent.mkdir()
    preset.write_text(f"# @package _global_\n# Mine.\n{text}")
    with pytest.raises(ConfigError) as caught:
        Composer(tmp_path).jobs(["experiment=mine"], multirun=False)
    assert caught.value.problems == [problem]
