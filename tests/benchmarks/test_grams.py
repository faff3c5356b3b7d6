"""13-grams against an exhaustive comparison of all words."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest

from cropi.benchmarks.assembly import Overlap, Rules, assemble
from cropi.benchmarks.grams import N, gram_at, grams_of, shared, words_of
from cropi.contracts import Prompts
from cropi.runtime.errors import DataError
from cropi.types import Prompt

THIRTEEN = "a train leaves the old station at noon and travels north for hours"


def exhaustive(mine: Sequence[str], theirs: Sequence[str]) -> tuple[set[int], set[int]]:
    def grams(question: str) -> set[str]:
        words = words_of(question)
        return {" ".join(words[i : i + N]) for i in range(len(words) - N + 1)}

    pairs = [
        (i, j) for i, one in enumerate(mine) for j, other in enumerate(theirs)
        if grams(one) & grams(other)
    ]  # fmt: skip
    return {i for i, _ in pairs}, {j for _, j in pairs}


def test_words_keep_latex_and_digits() -> None:
    assert words_of(r"Find $\frac{1}{2}+X_{10}$, naïve!") == [
        "find", r"\frac", "1", "2", "x", "10", "naïve"
    ]


@pytest.mark.parametrize("letters", ["ab", "abc", "abcdefgh"])
def test_shared_rows_are_those_of_an_exhaustive_search(letters: str) -> None:
    rng = random.Random(0)
    mine, theirs = (
        [" ".join(rng.choices(letters, k=rng.randrange(30))) for _ in range(40)] for _ in range(2)
    )
    theirs += [f"x {mine[7]} y", mine[9]]
    found = shared(grams_of(mine), grams_of(theirs))
    rows, others = exhaustive(mine, theirs)
    assert (set(found.mine), found.theirs) == (rows, len(others))
    for row, (start, other) in found.mine.items():
        gram = gram_at(mine[row], start)
        assert len(gram.split()) == N
        assert gram in " ".join(words_of(theirs[other]))
        # The first shared gram of the row.
        assert not any(
            exhaustive([gram_at(mine[row], earlier)], theirs)[0] for earlier in range(start)
        )


def test_grams_end_with_their_question() -> None:
    words = THIRTEEN.split()
    split = [" ".join(words[:6]), " ".join(words[6:])]
    assert shared(grams_of(split), grams_of([THIRTEEN])).mine == {}
    assert grams_of(split).short == 2
    assert len(grams_of([]).hashes) == grams_of([]).short == 0


def prompts(*questions: str) -> list[Prompt]:
    return [Prompt.create(question, ["1"], source="s") for question in questions]


def loaded(near_overlap: Overlap) -> Prompts:
    return assemble(
        train={"a": prompts(f"Slowly, {THIRTEEN.upper()}. How fast?", "clean", "also clean")},
        validation={"v": prompts(f"{THIRTEEN}; where is it?", "v1")},
        tests={"t": prompts(f"Now {THIRTEEN}?", "t1")},
        rules=Rules(targeted=["v"], near_overlap=near_overlap),
        seed=0,
    )


def test_near_overlaps_are_reported_and_kept() -> None:
    found = loaded("warn")
    assert len(found.pool) == 3
    near = found.report.near
    assert list(near) == ["train ∩ validation/v", "train ∩ test/t", "validation/v ∩ test/t"]
    assert {(pair["rows"], pair["of the other"]) for pair in near.values()} == {(1, 1)}
    (example,) = near["train ∩ test/t"]["examples"]
    assert example["words"] == THIRTEEN
    assert example["row"].startswith("train/a: 'Slowly")
    assert example["other"].startswith("test/t: 'Now")
    # Too short for a gram: compared only as a whole, and the report says how many.
    assert found.report.short == {"train": 2, "validation/v": 1, "test/t": 1}


def test_near_overlaps_are_dropped_but_never_from_tests() -> None:
    found = loaded("drop")
    assert [p.question for p in found.pool] == ["clean", "also clean"]
    assert [p.question for p in found.validation["v"]] == ["v1"]
    assert len(found.tests["t"].prompts) == 2
    assert found.report.rows["train/a"] == {"read": 3, "kept": 2, "near validation/v": 1}


def test_near_overlaps_can_be_refused() -> None:
    with pytest.raises(DataError, match=r"benchmark\.near_overlap=drop") as error:
        loaded("error")
    assert THIRTEEN in str(error.value)


def test_large_sets_take_seconds() -> None:
    rng = random.Random(0)
    vocabulary = [f"w{n}" for n in range(20_000)]
    pool, test = (
        [" ".join(rng.choices(vocabulary, k=50)) for _ in range(n)] for n in (8_000, 2_000)
    )
    began = time.process_time()
    assert shared(grams_of(pool), grams_of([*test, pool[5]])).mine.keys() == {5}
    assert time.process_time() - began < 5  # measured: 0.5 s; 40,000 against 10,000 take 4 s
