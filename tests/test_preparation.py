"""Fitting prompts to a policy and a verifier: nothing is cut, everything is counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cropi.contracts import LoadReport, Prompts, TestSet
from cropi.preparation import check, digest_of, fingerprint, fit
from cropi.runtime.errors import ConfigError, DataError
from cropi.types import Prompt

# A template of two tokens around one token a character (pitfall 21: the templated length counts).
POLICY: Any = SimpleNamespace(encode=lambda prompt: tuple(range(len(prompt.question) + 2)))


def prompt(question: str, gold: str = "1") -> Prompt:
    return Prompt.create(question, [gold], source="t")


def prompts(*pool: Prompt) -> Prompts:
    return Prompts(
        pool, {"v": (prompt("abc"), prompt("x" * 20))},
        {"t": TestSet((prompt("ab"), prompt("abd")), targeted=True)},
        LoadReport({}, {}),
    )


def test_what_does_not_fit_is_dropped_whole_and_listed() -> None:
    long = prompt("x" * 9)
    fitting, found = fit(prompts(prompt("x" * 8), long), POLICY, 10)
    assert [p.question for p in fitting.pool] == ["x" * 8]
    assert [p.question for p in fitting.validation["v"]] == ["abc"]
    assert [p.question for p in fitting.tests["t"].prompts] == ["ab", "abd"]
    assert fitting.tests["t"].targeted
    assert found.dropped == {"train": [long.id], "validation/v": [prompt("x" * 20).id]}
    assert f"train: dropped 1 (overlong), for example {long.id}" in found.lines()


def test_a_set_that_loses_everything_is_an_error() -> None:
    with pytest.raises(DataError, match=r"train: all 1 prompts were dropped \(overlong\)"):
        fit(prompts(prompt("x" * 30)), POLICY, 10)


@pytest.mark.parametrize("requirement", ["validation", "validation_prompts"])
def test_a_selector_that_needs_validation_sets_is_told_when_there_are_none(
    requirement: str,
) -> None:
    needs = {"rollouts", requirement}
    parts: Any = SimpleNamespace(
        selector=SimpleNamespace(alpha=0.5, needs=lambda: frozenset(needs)),
        evaluation=SimpleNamespace(chosen=lambda tests: {}),
    )
    given = prompts(prompt("a"), prompt("b"))
    check(parts, given)
    without = Prompts(given.pool, {}, given.tests, given.report)
    with pytest.raises(ConfigError, match=r"the benchmark has none; set benchmark\.validation_sh"):
        check(parts, without)
    needs.remove(requirement)
    check(parts, without)


def test_the_fingerprint_knows_order_and_content() -> None:
    one, other = prompt("a"), prompt("b")
    assert digest_of([one, other]) != digest_of([other, one])
    assert fingerprint(prompts(one))["train"] == {"prompts": 1, "ids": digest_of([one])}
    assert set(fingerprint(prompts(one))) == {"train", "validation/v", "test/t"}
