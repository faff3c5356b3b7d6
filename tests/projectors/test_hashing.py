"""The hash behind masks and signs: pinned, independent of device generators, fair."""

from __future__ import annotations

import pytest
import torch
from projector_cases import splitmix

from cropi.projectors.hashing import (
    CHUNK,
    buckets,
    chosen,
    hashed,
    key_of,
    sample,
    signs,
)

CPU = torch.device("cpu")


def test_equals_the_definition() -> None:
    index = torch.tensor([0, 1, 2, 63, 2**31, 2**40 + 7, 2**62])
    for key in (0, 5, key_of(0, "mask", "w"), -(2**63)):
        assert hashed(key, index).tolist() == [splitmix(key, i) for i in index.tolist()]


def test_golden_mask_and_signs() -> None:
    """Influence trap 19: the same on every machine, device and number of processes, for ever."""
    assert key_of(0, "mask", "model.embed_tokens.weight") == GOLDEN_KEY
    found = chosen(GOLDEN_KEY, 700, 0.1, CPU)[:64].tolist()
    assert found == GOLDEN_MASK
    key = key_of(0, "sign", "model.embed_tokens.weight")
    assert "".join("+" if s > 0 else "-" for s in signs(key, 64, CPU).tolist()) == GOLDEN_SIGNS


def test_chunks_change_nothing() -> None:
    size = 2 * CHUNK + 11
    whole = hashed(3, torch.arange(size))
    assert torch.equal(signs(3, size, CPU), torch.where(whole < 0, -1.0, 1.0))
    share = chosen(3, size, 0.3, CPU)
    assert share.dtype == torch.int32
    assert len(share) == pytest.approx(0.3 * size, rel=0.02)
    assert torch.equal(share, share.sort().values)
    assert torch.equal(chosen(3, size, 1.0, CPU), torch.arange(size, dtype=torch.int32))


def test_fair() -> None:
    n = 200_000
    assert abs(float(signs(1, n, CPU).mean())) < 4 / n**0.5
    counts = torch.bincount(buckets(2, n, 10, CPU).long(), minlength=10).double()
    assert float(((counts - n / 10) ** 2 / (n / 10)).sum()) < 30  # chi², 9 degrees of freedom
    both = signs(key_of(0, "sign", "a"), n, CPU) * signs(key_of(0, "sign", "b"), n, CPU)
    assert abs(float(both.mean())) < 4 / n**0.5  # names are independent of one another
    assert buckets(2, n, 2**31, CPU).min() >= 0


def test_samples_have_their_exact_size() -> None:
    counts = torch.zeros(20)
    for key in range(2000):
        drawn = sample(key, 20, 3, CPU)
        assert len(drawn) == 3
        counts[drawn] += 1
    assert counts.min() > 220
    assert counts.max() < 380
    assert torch.equal(sample(0, 5, 9, CPU), torch.arange(5))


GOLDEN_KEY = -6437684379473527150
GOLDEN_MASK = [
    8, 11, 20, 32, 39, 42, 57, 63, 68, 69, 82, 90, 118, 123, 127, 130, 135, 146, 161, 172, 186,
    188, 189, 191, 192, 193, 208, 217, 229, 231, 262, 263, 264, 266, 272, 283, 290, 298, 300,
    313, 314, 352, 401, 407, 408, 412, 432, 450, 451, 464, 468, 479, 500, 507, 519, 526, 528,
    529, 533, 536, 543, 556, 558, 596,
]  # fmt: skip
GOLDEN_SIGNS = "-----+-----+-+--+-++--+-++---+---+-+-+--++++-+-+++++++----+--+-+"
