"""Fold and count sketch: what goes where, in which bits."""

from __future__ import annotations

import torch
from projector_cases import CPU, gradients, matrix_of, project

from cropi.projectors.columns import Columns
from cropi.projectors.projection import ParameterShape
from cropi.projectors.row_groups import RowGroups
from cropi.projectors.sketches import Concatenate, Count, Kept
from cropi.projectors.sparse import Sparse


def test_parameters_of_any_size_fold_as_their_matrix() -> None:
    """Pitfall 38: layers of 3, 5 and 11 numbers, more and fewer than the buckets."""
    shapes = [ParameterShape(f"p{n}", (n,)) for n in (3, 5, 11, 4, 8)]
    for k in (2, 4, 5, 7):
        projection = Sparse(keep=1.0, k=k).bind(shapes, CPU)
        matrix = matrix_of(projection, shapes)
        assert (matrix.abs().sum(dim=1) == 1).all()  # every coordinate in one bucket, ±1
        for shape, part in zip(shapes, matrix.split([s.numel for s in shapes]), strict=True):
            counts = part.abs().sum(dim=0)
            assert counts.max() - counts.min() <= 1, shape  # balanced


def test_parameters_start_in_buckets_of_their_own() -> None:
    """Else the first numbers of hundreds of small parameters would all share a few buckets."""
    shapes = [ParameterShape(f"norm.{n}", (4,)) for n in range(40)]
    matrix = matrix_of(Sparse(keep=1.0, k=100).bind(shapes, CPU), shapes)
    firsts = matrix[::4].abs().argmax(dim=1)
    assert len(set(firsts.tolist())) > 20
    assert matrix.abs().sum(dim=0).max() < 10


def test_narrow_values_add_up_in_float32() -> None:
    """256 + 1 is 256 in bfloat16: a sum of ones must not stop there."""
    shape = [ParameterShape("w", (4000,))]
    projection = Sparse(keep=1.0, k=1).bind(shape, CPU)
    signs = matrix_of(projection, shape)[:, 0]
    rows = project(projection, {"w": signs.to(torch.bfloat16).unsqueeze(0)})
    assert rows.item() == 4000.0


def test_many_numbers_a_bucket_give_the_same_bits_too() -> None:
    """Influence traps 2 and 20, where a sum over turns is long."""
    shapes = [ParameterShape("w", (300, 401))]
    named = gradients(9, shapes=shapes, dtype=torch.float32)
    for made in (
        Sparse(keep=1.0, k=1), Sparse(keep=1.0, k=7), Sparse(keep=1.0, k=64), Columns(k=333),
        Sparse(keep=1.0, k=4096), Sparse(keep=1.0, k=64, sketch="count"), RowGroups(k=40),
    ):  # fmt: skip
        projection = made.bind(shapes, CPU)
        rows = project(projection, named)
        for size in (1, 2, 5, 8):
            parts = [project(projection, {"w": g}) for g in named["w"].split(size)]
            assert torch.equal(torch.cat(parts), rows), (made, size)


def test_counts_in_any_order_have_the_same_bits() -> None:
    """Influence trap 20: CUDA adds in any order, so there a count sketch adds whole numbers."""
    size, k = 20_000, 50
    kept = Kept({"w": size}, {"w": 1.7})
    plain, whole = (Count(kept, k, 0, CPU, any_order=any_order) for any_order in (False, True))
    values = torch.randn(3, size, dtype=torch.float64) * torch.tensor([[1.0], [1e-30], [0.0]])
    rows, others = torch.zeros(3, k, dtype=torch.float64), torch.zeros(3, k, dtype=torch.float64)
    plain.add(rows, "w", values)
    whole.add(others, "w", values)
    torch.testing.assert_close(rows[0], others[0], rtol=0.0, atol=1e-9)
    torch.testing.assert_close(rows[1], others[1], rtol=0.0, atol=1e-39)
    assert not others[2].any()
    mixed = torch.randperm(size)
    whole.places["w"] = whole.places["w"][mixed]
    again = torch.zeros(3, k, dtype=torch.float64)
    whole.add(again, "w", values[:, mixed])
    assert torch.equal(again, others)
    whole.add(again, "w", torch.full((3, size), torch.nan, dtype=torch.float64))
    assert again.isnan().all()


def test_no_sketch_puts_parameters_side_by_side() -> None:
    kept = Kept({"b": 2, "a": 3}, {"b": 1.0, "a": 2.0})
    rows = torch.zeros(1, 5)
    for name, size in kept.sizes.items():
        Concatenate(kept).add(rows, name, torch.arange(1.0, size + 1).unsqueeze(0))
    assert rows.tolist() == [[2.0, 4.0, 6.0, 1.0, 2.0]]
