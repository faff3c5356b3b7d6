"""Every projector against its own explicit matrix, and against what is known to go wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from projector_cases import CPU, SHAPES, SMALL, flat, gradients, matrix_of, project

from cropi.contracts import Projector
from cropi.projectors.columns import Columns, columns_kept
from cropi.projectors.dense import Gaussian, Rademacher
from cropi.projectors.kronecker import Kronecker
from cropi.projectors.none import NoProjection
from cropi.projectors.projection import ParameterShape, scatter_rows
from cropi.projectors.row_groups import RowGroups
from cropi.projectors.sketched import Sketched
from cropi.projectors.sparse import Sparse
from cropi.runtime.errors import CropiError


@pytest.fixture(params=SMALL)
def projector(request: pytest.FixtureRequest) -> Projector:
    return SMALL[request.param]


def test_it_is_one_linear_map(projector: Projector) -> None:
    projection = projector.bind(SHAPES, CPU)
    named = gradients(3)
    rows = project(projection, named)
    assert rows.shape == (3, projection.dimension)
    torch.testing.assert_close(rows, flat(named) @ matrix_of(projection))
    assert rows.abs().sum() > 0


@pytest.mark.parametrize("name", ["head.weight", "conv.weight"])
def test_factors_give_what_the_whole_gradient_gives(projector: Projector, name: str) -> None:
    """The fast engine's way: in both orientations."""
    restriction = projector.bind(SHAPES, CPU).restriction(name)
    rows, columns = restriction.parameter.matrix
    outputs = torch.randn(2, 6, rows, dtype=torch.float64)
    inputs = torch.randn(2, 6, columns, dtype=torch.float64)
    whole = torch.einsum("bno,bni->boi", outputs, inputs)
    if restriction.parameter.inputs_first:
        whole = whole.transpose(1, 2)
    torch.testing.assert_close(
        restriction.from_factors(outputs, restriction.keep_inputs(inputs)),
        restriction.from_gradient(whole),
    )


def test_embedding_rows_give_what_the_whole_gradient_gives(projector: Projector) -> None:
    restriction = projector.bind(SHAPES, CPU).restriction("head.weight")
    ids = torch.randint(0, 23, (2, 9))
    values = torch.randn(2, 9, 12, dtype=torch.float64)
    whole = torch.zeros(2, 23, 12, dtype=torch.float64)
    for prompt in range(2):
        for place in range(9):
            whole[prompt, ids[prompt, place]] += values[prompt, place]
    torch.testing.assert_close(scatter_rows(ids, values, 23), whole)
    torch.testing.assert_close(restriction.from_rows(ids, values), restriction.from_gradient(whole))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_calls_of_any_size_give_the_same_bits(projector: Projector, dtype: Any) -> None:
    """Influence traps 2, 4 and 20: 1, 3, 8, 17 prompts a call, and once more."""
    projection = projector.bind(SHAPES, CPU)
    named = gradients(17, dtype=dtype)
    rows = project(projection, named)
    assert rows.dtype == torch.float32
    assert torch.equal(rows, project(projector.bind(SHAPES, CPU), named))
    for size in (1, 3, 8):
        parts = [
            project(projection, {n: g[i : i + size] for n, g in named.items()})
            for i in range(0, 17, size)
        ]
        assert torch.equal(torch.cat(parts), rows)


def test_names_matter_and_places_do_not(projector: Projector) -> None:
    """Influence trap 11: parameters registered in another order."""
    if "first_coordinates" in vars(projector) and projector.first_coordinates:  # type: ignore[attr-defined]
        pytest.skip("the first coordinates are the first in the model's order")
    one, other = projector.bind(SHAPES, CPU), projector.bind(SHAPES[::-1], CPU)
    named = gradients(2)
    rows = project(one, named)
    if isinstance(projector, NoProjection):
        assert one.fingerprint != other.fingerprint  # whole rows are in the model's order
    else:
        torch.testing.assert_close(rows, project(other, named))
        assert one.fingerprint == other.fingerprint


def test_the_seed_decides(projector: Projector) -> None:
    """Influence trap 5: two seeds differ, one seed is one projection."""
    if not hasattr(projector, "seed"):
        pytest.skip("nothing random")
    other = replace(projector, seed=1).bind(SHAPES, CPU)  # type: ignore[type-var]
    own = projector.bind(SHAPES, CPU)
    assert own.fingerprint != other.fingerprint
    named = gradients(1)
    rows, others = project(own, named), project(other, named)
    assert rows.shape != others.shape or not torch.allclose(rows, others)


TWO = [ParameterShape("tall", (40, 6)), ParameterShape("wide", (6, 40))]


@pytest.mark.parametrize(
    "made",
    [
        lambda s: Sparse(keep=0.1, k=16, seed=s), lambda s: Sparse(keep=1.0, k=16, seed=s),
        lambda s: Sparse(keep=0.1, k=16, seed=s, sketch="count"),
        lambda s: Columns(keep=0.1, k=16, seed=s), lambda s: RowGroups(keep=0.1, k=16, seed=s),
        lambda s: Columns(keep=1.0, k=16, seed=s), lambda s: Rademacher(keep=0.5, k=16, seed=s),
        lambda s: Gaussian(keep=1.0, k=16, seed=s), lambda s: Kronecker(inputs=3, seed=s),
        lambda s: Sparse(keep=0.1, k=10_000, seed=s), lambda s: Columns(keep=0.1, k=999, seed=s),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", TWO, ids=lambda s: s.name)
def test_inner_products_are_right_on_average(made: Any, shape: ParameterShape) -> None:
    """Influence trap 6: E⟨Pg, Ph⟩ = ⟨g, h⟩ for each shape, within 3.5 standard errors."""
    named = gradients(2, shapes=[shape])
    named[shape.name][1] += 0.5 * named[shape.name][0]  # so that the product is not near zero
    exact = float(flat(named)[0] @ flat(named)[1])
    found = []
    for seed in range(300):
        rows = project(made(seed).bind([shape], CPU), named)
        found.append(float(rows[0] @ rows[1]))
    values = torch.tensor(found)
    error = float(values.std()) / 300**0.5
    assert abs(float(values.mean()) - exact) < 3.5 * error
    assert error < 0.35 * abs(exact)  # the bound says something


def test_uniform_keeps_its_share_and_scales_it() -> None:
    shape = [ParameterShape("w", (500, 400))]
    for keep in (0.01, 0.1, 0.5):
        projection = Sparse(keep=keep, k=10**6).bind(shape, CPU)
        assert projection.dimension == pytest.approx(keep * 200_000, rel=0.05)


def test_fewer_kept_than_asked_for_need_no_sketch() -> None:
    """Pitfall 42: a documented clamp; every kept number has a place of its own."""
    projection = Columns(keep=0.5, k=10_000).bind(SHAPES, CPU)
    matrix = matrix_of(projection)
    assert projection.fingerprint["dimension"] == projection.dimension < 10_000
    assert ((matrix != 0).sum(dim=0) == 1).all()


def test_the_releases_coordinates_are_the_first() -> None:
    matrix = matrix_of(Sparse(first_coordinates=300, k=64).bind(SHAPES, CPU))
    assert (matrix[:300] != 0).any(dim=1).all()
    assert not matrix[300:].any()
    made = Sparse(first_coordinates=300, k=64)
    one, other = made.bind(SHAPES, CPU), made.bind(SHAPES[::-1], CPU)
    assert one.fingerprint != other.fingerprint  # here the parameters' order is part of the map


def test_float16_loses_what_float32_keeps() -> None:
    """Influence traps 9 and 29, pitfall 39: small gradients, and scaling changes no ranking."""
    named = {n: 1e-9 * g for n, g in gradients(2, dtype=torch.float32).items()}
    assert not project(Sparse(keep=1.0, k=64, precision="float16").bind(SHAPES, CPU), named).any()
    wide = project(Sparse(keep=1.0, k=64).bind(SHAPES, CPU), named)
    big = project(Sparse(keep=1.0, k=64).bind(SHAPES, CPU), {n: 1e4 * g for n, g in named.items()})
    torch.testing.assert_close(wide * 1e4, big)


def test_tables_are_at_most_two_numbers_a_kept_coordinate() -> None:
    """Influence trap 26: no fallback holds a matrix."""
    shapes = [ParameterShape("w", (300, 500)), ParameterShape("v", (100, 900))]
    for made in (
        Sparse(keep=0.1, k=512), Sparse(keep=1.0, k=512), Sparse(k=512, sketch="count"),
        Columns(k=512), RowGroups(k=512), Rademacher(k=512), Gaussian(k=512),
    ):  # fmt: skip
        projection = made.bind(shapes, CPU)
        assert isinstance(projection, Sketched)
        kept = sum(projection.restriction(s.name).size for s in shapes)
        tables = [
            t
            for holder in (*projection.restrictions.values(), projection.sketch)
            for t in _tensors(vars(holder))
        ]
        fixed = 4 * 2**16 if isinstance(made, Gaussian) else 2**14
        assert sum(t.numel() * t.element_size() for t in tables) <= 2 * 4 * kept + fixed


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    return [t for v in items for t in _tensors(v)] if isinstance(items, list | tuple | type(
        {}.values())) else []  # fmt: skip


def test_nothing_kept_is_an_error() -> None:
    with pytest.raises(CropiError, match="keeps no coordinate"):
        Sparse(keep=1e-9, k=8).bind([ParameterShape("w", (3,))], CPU)


def test_columns_are_counted_as_written() -> None:
    assert columns_kept(0.07, 100) == 7  # 0.07 · 100 is 7.000000000000001 in binary
    assert columns_kept(0.1, 31) == 4
    assert columns_kept(0.001, 5) == 1
    assert columns_kept(1.0, 7) == 7


def test_keeping_everything_is_one_thing() -> None:
    named = gradients(2)
    rows = project(Sparse(keep=1.0, k=64).bind(SHAPES, CPU), named)
    for made in (Columns(keep=1.0, k=64), RowGroups(keep=1.0, k=64)):
        assert torch.equal(rows, project(made.bind(SHAPES, CPU), named))


def test_fingerprints_are_json() -> None:
    for made in SMALL.values():
        found = dict(made.bind(SHAPES, CPU).fingerprint)
        assert json.loads(json.dumps(found)) == found
        assert {"kind", "dimension", "parameters"} <= set(found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_devices_agree(projector: Projector) -> None:
    """Influence trap 3: integers bit for bit, real numbers to 1e-5; twice the same bits."""
    gpu = torch.device("cuda")
    for round_ in (True, False):
        named = gradients(3, dtype=torch.float32)
        if round_:
            named = {n: (4 * g).round() for n, g in named.items()}
        rows = project(projector.bind(SHAPES, CPU), named)
        there = {n: g.to(gpu) for n, g in named.items()}
        found = project(projector.bind(SHAPES, gpu), there)
        assert torch.equal(found, project(projector.bind(SHAPES, gpu), there))
        torch.testing.assert_close(found.cpu(), rows, rtol=1e-5, atol=1e-4)
