"""The matrix of a dense projection, which never exists as a whole."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import pytest
import torch
from projector_cases import CPU, gradients, splitmix
from scipy.stats import kstest

from cropi.projectors.dense_sketch import DenseSketch
from cropi.projectors.projection import ParameterShape
from cropi.projectors.sketches import Kept


@pytest.mark.parametrize("kind", ["rademacher", "gaussian"])
def test_chunks_of_any_size_give_the_whole_product(kind: Any) -> None:
    """Pitfall 38 (dattri#204), on shapes of 3, 5 and 11."""
    shapes = [ParameterShape(f"p{n}", (n,)) for n in (3, 5, 11)]
    kept = Kept({s.name: s.numel for s in shapes}, dict.fromkeys([s.name for s in shapes], 1.0))
    sketch = DenseSketch(kept, 6, 0, kind, 1, CPU)
    matrices = {s.name: sketch.entries(sketch.keys[s.name], 0, s.numel) for s in shapes}
    named = gradients(3, shapes=shapes)
    expected = sum(named[n] @ m.double() for n, m in matrices.items()) / 6**0.5
    for chunk in (1, 2, 4, 100):
        sketch.chunk = chunk
        rows = torch.zeros(3, 6, dtype=torch.float64)
        for name, gradient in named.items():
            sketch.add(rows, name, gradient)
        torch.testing.assert_close(rows, expected)


@pytest.mark.parametrize("kind", ["rademacher", "gaussian"])
def test_entries_are_fair(kind: Any) -> None:
    sketch = DenseSketch(Kept({"w": 400}, {"w": 1.0}), 500, 0, kind, 1, CPU)
    entries = sketch.entries(5, 7, 400).double()
    assert torch.equal(entries[3:9], sketch.entries(5, 10, 6).double())
    assert abs(float(entries.mean())) < 4 / 200_000**0.5
    assert float(entries.square().mean()) == pytest.approx(1.0, abs=0.02)
    if kind == "gaussian":
        assert kstest(entries.flatten()[:20_000].numpy(), "norm").pvalue > 0.01
    products = entries.T @ entries / 400**0.5  # two columns: near independent
    products.fill_diagonal_(0.0)
    assert float(products.abs().max()) < 6.0


def test_dense_entries_are_what_they_are_said_to_be() -> None:
    """Influence trap 19, against the hash in plain integers and the standard library's normal."""
    kept = Kept({"w": 4}, {"w": 1.0})
    signs = DenseSketch(kept, 70, 0, "rademacher", 1, CPU).entries(3, 6, 1)[0].tolist()
    words = [splitmix(3, 12) % 2**64, splitmix(3, 13) % 2**64]
    assert signs == [1.0 if words[o // 64] >> o % 64 & 1 else -1.0 for o in range(70)]
    normals = DenseSketch(kept, 6, 0, "gaussian", 1, CPU).entries(3, 6, 1)[0]
    codes = [words[o // 4] >> 16 * (o % 4) & 0xFFFF for o in range(6)]
    expected = [NormalDist().inv_cdf((code + 0.5) / 2**16) for code in codes]
    torch.testing.assert_close(normals, torch.tensor(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("k", [1, 65, 32768])
@pytest.mark.parametrize("kind", ["rademacher", "gaussian"])
def test_chunks_stay_below_their_bound(kind: Any, k: int) -> None:
    """Influence trap 26: float32 numbers of a chunk are a quarter of what it may take."""
    sketch = DenseSketch(Kept({"w": 10**7}, {"w": 1.0}), k, 0, kind, 1, CPU)
    made = sketch.entries(0, 0, sketch.chunk)
    assert made.untyped_storage().nbytes() <= 2**18
    assert sketch.entries(0, 0, 2 * sketch.chunk).untyped_storage().nbytes() > 2**17
