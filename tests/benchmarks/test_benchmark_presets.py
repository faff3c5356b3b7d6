"""conf/benchmark and conf/source: what each preset reads, targets and is graded by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from cropi.benchmarks.composed import Composed
from cropi.benchmarks.gym import Gym
from cropi.benchmarks.hub import Hub
from cropi.contracts import Benchmark, Prompts
from cropi.runtime.parts import build

VERIFIERS = {
    "arithmetic": "chain", "arithmetic_aligned": "chain", "gsm8k": "numeric",
    "word_problems": "numeric", "gym": "reasoning_gym", "math": "math", "gsm8k_math": "math",
    "paper": "math", "paper_7b": "math", "paper_r1": "math", "deepscaler": "math",
    "five_sets": "math",
}  # fmt: skip
Compose = Callable[..., tuple[Any, str]]


@pytest.fixture
def composed(tmp_path: Path) -> Compose:
    """A function from overrides to (benchmark, verifier's name), without the other groups."""
    (tmp_path / "verifier").mkdir()
    for name in {*VERIFIERS.values(), "exact"}:
        (tmp_path / "verifier" / f"{name}.yaml").write_text(f"name: {name}\n")
    (tmp_path / "config.yaml").write_text(
        "defaults: [{verifier: math}, {benchmark: arithmetic}, _self_]\n"
    )

    def function(*overrides: str) -> tuple[Any, str]:
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            config = compose(
                "config", overrides=["hydra.searchpath=[pkg://cropi.conf]", *overrides]
            )
        node: Any = OmegaConf.to_container(config, resolve=True)
        return build(node["benchmark"], Benchmark, "benchmark"), node["verifier"]["name"]

    return function


@pytest.mark.parametrize("name", VERIFIERS)
def test_verifier_that_comes_with_each_benchmark(composed: Compose, name: str) -> None:
    assert composed(f"benchmark={name}")[1] == VERIFIERS[name]


def test_the_command_line_has_the_last_word(composed: Compose) -> None:
    assert composed("benchmark=gsm8k", "verifier=exact")[1] == "exact"


SUBJECTS = [
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory",
    "prealgebra", "precalculus",
]  # fmt: skip
# Ids, splits and fields of the data matrix (methods.md, section 2a): id, split, configs, question,
# answer, gold. Gaokao2023en has only a train split.
HUB = {
    "gsm8k_train": ("openai/gsm8k", "train", ["main"], "question", "answer", "gsm8k"),
    "gsm8k_test": ("openai/gsm8k", "test", ["main"], "question", "answer", "gsm8k"),
    "math_train": (
        "EleutherAI/hendrycks_math", "train", SUBJECTS, "problem", "solution", "boxed"),
    "math_test": ("EleutherAI/hendrycks_math", "test", SUBJECTS, "problem", "solution", "boxed"),
    "math500": ("HuggingFaceH4/MATH-500", "test", None, "problem", "answer", "plain"),
    "aime24": ("HuggingFaceH4/aime_2024", "train", None, "problem", "answer", "plain"),
    "aime25": ("math-ai/aime25", "test", None, "problem", "answer", "plain"),
    "amc23": ("math-ai/amc23", "test", None, "question", "answer", "plain"),
    "olympiad_bench": (
        "Hothan/OlympiadBench", "train", ["OE_TO_maths_en_COMP"], "question", "final_answer",
        "list"),
    "minerva": ("math-ai/minervamath", "test", None, "question", "answer", "plain"),
    "gaokao2023en": (
        "MARIO-Math-Reasoning/Gaokao2023-Math-En", "train", None, "question", "answer", "plain"),
    "deepscaler": (
        "agentica-org/DeepScaleR-Preview-Dataset", "train", None, "problem", "answer", "plain"),
}  # fmt: skip


@pytest.mark.parametrize("name", HUB)
def test_hub_sources_read_what_the_data_matrix_says(composed: Compose, name: str) -> None:
    benchmark, _ = composed("benchmark=composed", f"+source@benchmark.train.it={name}")
    source = benchmark.train["it"]
    assert isinstance(source, Hub)
    assert HUB[name] == (
        source.path, source.split, source.configs, source.question, source.answer, source.gold
    )


@pytest.mark.parametrize(
    ("name", "targeted", "tokens"),
    [
        ("paper", ["gsm8k", "math"], 2048),
        ("paper_7b", ["gsm8k", "math", "olympiad_bench", "aime24"], 4096),
        ("paper_r1", ["gaokao2023en", "amc23", "olympiad_bench", "aime24"], 8192),
    ],
)
def test_paper_presets(
    composed: Compose, name: str, targeted: list[str], tokens: int
) -> None:
    # paper.md, section 2.
    benchmark, _ = composed(f"benchmark={name}")
    assert isinstance(benchmark, Composed)
    assert [source.name for source in benchmark.train.values()] == [
        "gsm8k/train", "hendrycks_math/train", "DeepScaleR-Preview-Dataset/train"
    ]
    assert set(benchmark.tests) == {
        "gsm8k", "math", "gaokao2023en", "amc23", "olympiad_bench", "aime24"
    }
    assert (benchmark.targeted, benchmark.validation_share) == (targeted, 0.2)
    assert (benchmark.max_new_tokens, benchmark.max_prompt_tokens) == (tokens, 2048)


def test_gym_tests_have_the_pools_settings_and_far_seeds(composed: Compose) -> None:
    benchmark, _ = composed("benchmark=gym", "benchmark.train.gym.tasks.gcd.max_value=9")
    pool = benchmark.train["gym"]
    assert isinstance(pool, Gym)
    for name, test in benchmark.tests.items():
        assert test.tasks == {name: pool.tasks[name]}
        assert test.seed >= pool.seed + pool.size
    assert benchmark.tests["gcd"].tasks["gcd"]["max_value"] == 9


def test_gym_loads(composed: Compose) -> None:
    pytest.importorskip("reasoning_gym")
    sizes = [f"benchmark.tests.{name}.size=20" for name in
             ("chain_sum", "basic_arithmetic", "gcd", "number_sorting")]
    prompts = composed("benchmark=gym", "benchmark.train.gym.size=30", *sizes)[0].load(0)
    assert 100 < len(prompts.pool) <= 120
    assert list(prompts.validation) == ["chain_sum", "basic_arithmetic"]
    assert {p.family for p in prompts.tests["gcd"].prompts} == {"gcd"}


def test_your_own_files_from_the_command_line(composed: Compose, tmp_path: Path) -> None:
    for name, n in (("train", 5), ("test", 10)):
        rows = [{"problem": f"{name} {i}", "result": i} for i in range(n)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    prompts: Prompts = composed(
        "benchmark=local",
        f"benchmark.train_file={tmp_path}/train.jsonl",
        f"benchmark.test_file={tmp_path}/test.jsonl",
        "benchmark.question=problem",
        "benchmark.answer=result",
    )[0].load(0)
    assert (len(prompts.pool), len(prompts.tests["local"].prompts)) == (5, 8)


def test_your_own_mixture_from_the_command_line(composed: Compose, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("question,answer\nWhat?,1\n")
    benchmark, _ = composed(
        "benchmark=gsm8k",
        "+source@benchmark.train.mine=file",
        f"benchmark.train.mine.path={tmp_path}/mine.csv",
        "+source@benchmark.tests.amc23=amc23",
    )
    assert list(benchmark.train) == ["gsm8k", "mine"]
    assert list(benchmark.tests) == ["gsm8k", "amc23"]
    assert [prompt.question for prompt in benchmark.train["mine"].read()] == ["What?"]


def test_word_problems_follow_the_data_folder(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CROPI_DATA", raising=False)
    assert composed("benchmark=word_problems")[0].train["gsm8k"].path == "data/gsm8k/train.jsonl"
    monkeypatch.setenv("CROPI_DATA", "/one")
    assert composed("benchmark=word_problems")[0].tests["svamp"].path == "/one/svamp/test.jsonl"
    benchmark, _ = composed("benchmark=word_problems", "benchmark.data=/two")
    assert benchmark.train["mawps"].path[0] == "/two/mawps/mawps_addsub.jsonl"
