r"""Word 13-grams that two sets of questions share.

A word is a run of letters and digits, or a LaTeX command (``\frac``), in lower case; all other
marks are left out. 13-grams are those of Brown et al. (arXiv 2005.14165, appendix C).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

N = 13
_WORD = re.compile(r"\\[a-z]+|[^\W_]+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying loses nothing

Codes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grams:
    """All 13-grams of a set's questions, sorted by their 64-bit hash; M of them.

    ``rows`` int64 [M] says which question, ``starts`` int64 [M] at which of its words.
    ``short`` counts the questions with fewer than 13 words, which have no gram.
    """

    hashes: Codes
    rows: Places
    starts: Places
    short: int


@dataclass(frozen=True)
class Shared:
    """What two sets share: the rows of each, and for each of mine the first place it does."""

    mine: dict[int, tuple[int, int]]  # row -> (start of its first shared gram, row of theirs)
    theirs: int  # how many of their rows


def words_of(question: str) -> list[str]:
    return _WORD.findall(question.lower())


def grams_of(questions: Sequence[str]) -> Grams:
    """Seconds for 40,000 questions: one hash a word, then 13 vector operations."""
    words = [words_of(question) for question in questions]
    lengths = np.array([len(found) for found in words], dtype=np.int64)
    codes = np.array([_code(word) for found in words for word in found], dtype=np.uint64)
    row = np.repeat(np.arange(len(words)), lengths)
    start = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    windows = max(len(codes) - N + 1, 0)
    hashes = np.zeros(windows, dtype=np.uint64)
    for place in range(N):
        hashes = hashes * _FACTOR + codes[place : place + windows]
    inside = np.flatnonzero(row[:windows] == row[len(codes) - windows :])
    order = inside[np.argsort(hashes[inside], kind="stable")]
    return Grams(hashes[order], row[order], start[order], int((lengths < N).sum()))


def shared(mine: Grams, theirs: Grams) -> Shared:
    """Rows with a common gram. Two different grams are taken for one once in 2^64 pairs."""
    hits = np.flatnonzero(_found(theirs.hashes, mine.hashes))
    common = theirs.hashes[hits]
    first: dict[int, tuple[int, int]] = {}
    for place in np.flatnonzero(_found(mine.hashes, common)):
        other = int(theirs.rows[hits[np.searchsorted(common, mine.hashes[place])]])
        row, start = int(mine.rows[place]), int(mine.starts[place])
        first[row] = min(first.get(row, (start, other)), (start, other))
    return Shared(dict(sorted(first.items())), len(np.unique(theirs.rows[hits])))


def gram_at(question: str, start: int) -> str:
    """The 13 words that begin at word ``start``, for people."""
    return " ".join(words_of(question)[start : start + N])


@lru_cache(maxsize=1 << 18)
def _code(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")


def _found(needles: Codes, hay: Codes) -> npt.NDArray[Any]:
    """For each needle, whether it is in the sorted ``hay``."""
    if not len(hay):
        return np.zeros(len(needles), dtype=np.bool_)
    places = np.minimum(np.searchsorted(hay, needles), len(hay) - 1)
    return np.asarray(hay[places] == needles)
