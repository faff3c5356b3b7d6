"""A seeded share of training golds, wrong for certain, and nothing else touched."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cropi.benchmarks.label_noise import with_label_noise
from cropi.contracts import LoadReport, Prompts, TestSet, Verifier
from cropi.runtime.errors import ConfigError
from cropi.types import Prompt, Verdict
from cropi.verifiers.numeric import NumericVerifier


class Blind(Verifier):
    def verify(self, text: str, prompt: Prompt) -> Verdict:
        return Verdict(1.0, "ok", "test")


def benchmark(golds: Sequence[str]) -> Prompts:
    pool = tuple(
        Prompt.create(f"q{n}", [gold], source="s", family="f", metadata={"row": n})
        for n, gold in enumerate(golds)
    )
    held_out = (Prompt.create("held out", ["1"], source="s"),)
    return Prompts(pool, {"v": held_out}, {"t": TestSet(held_out, True)}, LoadReport({}, {}))


# Every number thrice, in three spellings that a verifier takes for one answer.
CLEAN = benchmark([spelling for n in range(20) for spelling in (f"{n}", f"{n}.00", f"{2 * n}/2")])


def noisy(share: float, seed: int = 0) -> Prompts:
    return with_label_noise(CLEAN, share, seed, NumericVerifier())


def replaced(prompts: Prompts) -> dict[str, Prompt]:
    return {p.question: p for p in prompts.pool if p.metadata.get("label_noise")}


@pytest.mark.parametrize(("share", "count"), [(0.1, 6), (0.29, 17), (0.5, 30), (0.99, 59)])
def test_exactly_the_share_is_wrong(share: float, count: int) -> None:
    found = noisy(share)
    before = {p.question: p for p in CLEAN.pool}
    assert [p.question for p in found.pool] == list(before)
    assert len(replaced(found)) == count
    verifier, golds = NumericVerifier(), {p.golds for p in CLEAN.pool}
    for question, wrong in replaced(found).items():
        true = before[question]
        assert wrong.metadata == {
            "row": true.metadata["row"], "label_noise": True, "true_golds": list(true.golds)
        }
        assert (wrong.source, wrong.family) == (true.source, true.family)
        assert wrong.id == Prompt.create(question, wrong.golds, source="").id != true.id
        assert wrong.golds in golds
        assert verifier.verify(rf"\boxed{{{true.golds[0]}}}", wrong).reward == 0
        assert verifier.verify(rf"\boxed{{{wrong.golds[0]}}}", true).reward == 0
    assert len({p.golds for p in replaced(found).values()}) > count // 3  # each its own draw
    untouched = [p for p in found.pool if p.question not in replaced(found)]
    assert untouched == [p for p in CLEAN.pool if p.question not in replaced(found)]
    assert (found.validation, found.tests) == (CLEAN.validation, CLEAN.tests)


def test_a_larger_share_holds_the_smaller_ones_rows_with_the_same_golds() -> None:
    small, large = replaced(noisy(0.2)), replaced(noisy(0.6))
    assert small.items() <= large.items()


def test_the_seed_alone_decides() -> None:
    assert noisy(0.3).pool == noisy(0.3).pool
    assert set(replaced(noisy(0.3))) != set(replaced(noisy(0.3, seed=1)))
    # The order of the pool does not matter: the stream runs over sorted ids.
    turned = Prompts(CLEAN.pool[::-1], {}, {}, LoadReport({}, {}))
    assert with_label_noise(turned, 0.3, 0, NumericVerifier()).pool == noisy(0.3).pool[::-1]


def test_the_report_says_what_was_done() -> None:
    record = noisy(0.1).report.label_noise
    assert record is not None
    assert {key: record[key] for key in ("share", "seed", "prompts", "of")} == {
        "share": 0.1, "seed": 0, "prompts": 6, "of": 60
    }
    assert record["ids"] != record["true_ids"]
    assert record != noisy(0.1, seed=1).report.label_noise


def test_no_noise_changes_nothing() -> None:
    assert noisy(0.0) is CLEAN


def test_a_verifier_that_looks_at_no_gold_is_refused() -> None:
    with pytest.raises(ConfigError, match="label_noise: Blind does not tell the answer of prompt"):
        with_label_noise(CLEAN, 0.1, 0, Blind())
    tasks = tuple(Prompt.create(f"q{n}", ["x"] if n else [], source="s") for n in range(9))
    with pytest.raises(ConfigError, match=r"1 training prompts, .* have no gold to replace"):
        with_label_noise(Prompts(tasks, {}, {}, LoadReport({}, {})), 0.9, 0, NumericVerifier())


class Lenient(Verifier):
    """An answer may go on after the gold, so it is wrong in one direction only."""

    def verify(self, text: str, prompt: Prompt) -> Verdict:
        answer = text.removeprefix(r"\boxed{").removesuffix("}")
        return Verdict(float(answer.startswith(prompt.golds[0])), "ok", "test")


class Silent(Verifier):
    def verify(self, text: str, prompt: Prompt) -> Verdict:
        return Verdict(None, "bad_gold", "test")


@pytest.mark.parametrize("verifier", [Lenient(), Silent()])
def test_golds_that_are_not_wrong_for_certain_are_refused(verifier: Verifier) -> None:
    with pytest.raises(ConfigError, match="does not tell the answer"):
        with_label_noise(benchmark(["1", "12"]), 0.99, 0, verifier)


@pytest.mark.parametrize("seed", range(5))
def test_wrong_both_ways(seed: int) -> None:
    # "12" is right for "1" though "1" is wrong for "12": only "7" is wrong both ways.
    found = with_label_noise(benchmark(["1", "12", "123", "7"]), 0.99, seed, Lenient())
    assert [p.golds for p in found.pool[:3]] == [("7",)] * 3


def test_golds_that_are_all_the_same_cannot_be_exchanged() -> None:
    with pytest.raises(ConfigError, match="all training golds are the same"):
        with_label_noise(benchmark(["1"] * 9), 0.5, 0, NumericVerifier())
