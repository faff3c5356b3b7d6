"""Duplicates, conflicting answers, overlaps between sets and limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from cropi.benchmarks.ledger import Ledger, Row, fault, quoted


def question_key(question: str) -> str:
    r"""A question without its white space, and with everything else.

    White space hides real copies (``\log_8 2`` and ``\log_82`` in MATH); leaving out more merges
    different problems (k>0 and k<0).
    """
    return "".join(question.split())


def unique(rows: Sequence[Row], ledger: Ledger) -> list[Row]:
    """Each question once. Where its rows disagree on the answer, none can be trusted: all go."""
    asked: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        asked[question_key(row.prompt.question)].append(row)
    kept: list[Row] = []
    for same in asked.values():
        first, *others = same
        if len({_answers_key(row.prompt.golds) for row in same}) == 1:
            kept.append(first)
            for row in others:
                ledger.drop(row.origin, "duplicate", quoted(row))
        else:
            golds = " and ".join(sorted({" or ".join(row.prompt.golds) for row in same}))
            for row in same:
                ledger.drop(row.origin, "conflicting golds")
                ledger.faults.append(fault(row.origin, row.prompt, "conflicting golds"))
            ledger.example("conflicting golds", f"{quoted(first)} has {golds}")
    return kept


def _answers_key(golds: Iterable[str]) -> frozenset[str | Decimal]:
    """Golds as a set, equal numbers alike ("27" and "27.0"), white space left out."""
    return frozenset(map(_gold_key, golds))


def _gold_key(gold: str) -> str | Decimal:
    bare = "".join(gold.split())
    try:
        number = Decimal(bare)
    except InvalidOperation:
        return bare
    return number if number.is_finite() else bare


def keys_of(rows: Iterable[Row]) -> set[str]:
    return {question_key(row.prompt.question) for row in rows}


def without_shared(
    name: str, rows: Sequence[Row], others: Mapping[str, set[str]], ledger: Ledger, *, drop: bool
) -> list[Row]:
    """Count the questions of set ``name`` that stand in ``others`` too; leave them out if asked."""
    shared: dict[str, str] = {}  # question -> the first other set that holds it
    for other, theirs in others.items():
        overlap = keys_of(rows) & theirs
        ledger.overlaps[f"{name} ∩ {other}"] = len(overlap)
        for question in overlap:
            shared.setdefault(question, other)
    kept: list[Row] = []
    for row in rows:
        other = shared.get(question_key(row.prompt.question), "")
        if other:
            ledger.example(f"{name} ∩ {other}", quoted(row))
        if other and drop:
            ledger.drop(row.origin, f"also in {other}")
        else:
            kept.append(row)
    return kept


def limited(rows: Sequence[Row], limit: int | None, ledger: Ledger) -> list[Row]:
    """At most ``limit`` rows, those with the smallest content hash, in their own order.

    The same rows for every seed, and a larger limit keeps all that a smaller one kept.
    """
    if limit is None or len(rows) <= limit:
        return list(rows)
    chosen = set(sorted(row.prompt.id for row in rows)[:limit])
    for row in rows:
        if row.prompt.id not in chosen:
            ledger.drop(row.origin, "over the limit")
    return [row for row in rows if row.prompt.id in chosen]
