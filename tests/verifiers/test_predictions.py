"""Whole completions under strict extraction: what is paid, and what is not an answer at all."""

from __future__ import annotations

import json
from pathlib import Path

from cropi.types import Prompt
from cropi.verifiers.math import MathVerifier

ROWS = [json.loads(line) for line in (Path(__file__).parent / "predictions.jsonl").open()]


def test_whole_completions_are_paid_as_they_deserve() -> None:
    verifier = MathVerifier(workers=1)
    verdicts = verifier.verify_all([
        (row["prediction"], Prompt.create("question", [row["gold"]], source="test"))
        for row in ROWS
    ])
    verifier.close()
    wrong = [
        (row["gold"], row["prediction"][:80], row["reason"], verdict)
        for row, verdict in zip(ROWS, verdicts, strict=True) if verdict.reward != row["expected"]
    ]
    assert wrong == []


def test_each_row_says_why() -> None:
    assert len(ROWS) >= 80
    assert all(row["kind"] and row["reason"] for row in ROWS)
    assert len({(row["gold"], row["prediction"]) for row in ROWS}) == len(ROWS)
