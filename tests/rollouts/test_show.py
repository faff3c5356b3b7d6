"""Looking at stored rollouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cropi.rollouts.prompt_table import read_prompt, write_prompts
from cropi.rollouts.show import show
from cropi.rollouts.store import RolloutStore
from cropi.runtime.errors import DataError
from cropi.types import Cost, Group, Prompt, Trajectory, Verdict

PROMPT = Prompt.create("Two lines:\n2+3?", ["5", "five"], source="toy", family="sum",
                       metadata={"entry": {"a": [1, None]}})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    other = Prompt.create("x", ["1"], source="t")
    write_prompts(tmp_path, {"train": [PROMPT], "test/toy": [other]})
    trajectories = (
        Trajectory(np.array([4, 1], np.int32), np.array([-0.5, -0.25], np.float32), "stop", "5",
                   Verdict(1.1, "ok", "numeric", "5", parts={"correctness": 1.0, "format": 1.0})),
        Trajectory(np.array([7], np.int32), np.array([-3.0], np.float32), "length", "a\nb",
                   Verdict(None, "bad_gold", "none")),
    )
    group = Group(PROMPT.id, np.array([2, 3], np.int32), trajectories)
    RolloutStore(tmp_path / "rollouts" / "train", {}).write(0, [group], Cost())
    return tmp_path


def test_prompts_come_back_whole(run: Path) -> None:
    assert read_prompt(run, PROMPT.id) == PROMPT
    assert read_prompt(run, "nobody") is None


def test_a_prompt_is_shown_with_question_golds_completions_and_verdicts(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(run, PROMPT.id[:6])
    assert capsys.readouterr().out.splitlines() == [
        f"train · prompt {PROMPT.id} · 2 prompt tokens · 2 trajectories · mean reward 1.100",
        "  Two lines:",
        "  2+3?",
        "  gold: 5 | five  (toy sum)",
        "  [0] reward 1.1 (correctness 1, format 1) · ok by numeric · read '5' · 2 tokens, stop · "
        "log-prob -0.75",
        "      5",
        "  [1] unscorable · bad_gold by none · read None · 1 tokens, length · log-prob -3.00",
        "      a",
        "      b",
    ]


def test_fresh_rollouts_of_a_phase_are_shown_too(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (group,) = RolloutStore.open(run / "rollouts" / "train").groups()
    for name in ("train", "validation/A"):
        RolloutStore(run / "phases" / "001" / "rollouts" / name, {}).write(0, [group], Cost())
    show(run, PROMPT.id)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" · ")[0] for line in lines if "mean reward" in line] == [
        "phases/001/train", "phases/001/validation/A", "train"
    ]


def test_an_unknown_prompt_and_a_run_without_rollouts_are_said_plainly(
    run: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(DataError, match=r"no prompt 'zzzz' .*lists ids, such as"):
        show(run, "zzzz")
    with pytest.raises(DataError, match="holds no rollouts"):
        show(tmp_path_factory.mktemp("empty"), "a")
