"""Which numbers of a parameter's gradient are needed, and how to form no others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from cropi.projectors.projection import ParameterShape, Restriction, scatter_rows


class Everything(Restriction):
    """The whole gradient, flattened."""

    elementwise = True

    def __init__(self, parameter: ParameterShape) -> None:
        self.parameter = parameter
        self.size = parameter.numel

    def from_gradient(self, gradient: Tensor) -> Tensor:
        return gradient.reshape(gradient.shape[0], -1)


class First(Restriction):
    """The first ``count`` coordinates."""

    elementwise = True

    def __init__(self, parameter: ParameterShape, count: int) -> None:
        self.parameter = parameter
        self.size = count

    def from_gradient(self, gradient: Tensor) -> Tensor:
        return gradient.reshape(gradient.shape[0], -1)[:, : self.size]


class Coordinates(Restriction):
    """Any coordinates, by flat index (int32 or int64, ascending)."""

    elementwise = True

    def __init__(self, parameter: ParameterShape, index: Tensor) -> None:
        self.parameter = parameter
        self.index = index
        self.size = len(index)

    def from_gradient(self, gradient: Tensor) -> Tensor:
        return gradient.reshape(gradient.shape[0], -1).index_select(1, self.index)


class Columns(Restriction):
    """The same input columns of every row: their gradient is one small product."""

    elementwise = True

    def __init__(self, parameter: ParameterShape, columns: Tensor) -> None:
        self.parameter = parameter
        self.columns = columns
        self.size = parameter.matrix[0] * len(columns)

    def from_gradient(self, gradient: Tensor) -> Tensor:
        matrix = canonical(self.parameter, gradient)
        return last(matrix, self.columns).reshape(gradient.shape[0], -1)

    def keep_inputs(self, inputs: Tensor) -> Tensor:
        return last(inputs, self.columns)

    def from_factors(self, outputs: Tensor, kept: Tensor) -> Tensor:
        return product(outputs, kept).reshape(outputs.shape[0], -1)

    def from_rows(self, ids: Tensor, values: Tensor) -> Tensor:
        kept = last(values, self.columns)
        return scatter_rows(ids, kept, self.parameter.matrix[0]).reshape(values.shape[0], -1)


class RowGroups(Restriction):
    """Blocks of rows, each with as many columns of its own."""

    elementwise = True

    def __init__(
        self, parameter: ParameterShape, bounds: Sequence[int], columns: Sequence[Tensor]
    ) -> None:
        """Block g is the rows from ``bounds[g]`` up to ``bounds[g + 1]``."""
        self.parameter = parameter
        self.columns = torch.stack(list(columns))  # [groups, kept columns]
        self.blocks = list(pairwise(bounds))
        self.ends = torch.tensor(bounds[1:], device=self.columns.device)
        rows, inputs = parameter.matrix
        self.size = rows * self.columns.shape[1]
        self.narrows = self.columns.numel() < inputs

    def from_gradient(self, gradient: Tensor) -> Tensor:
        matrix = canonical(self.parameter, gradient)
        return torch.cat([
            last(matrix[:, start:stop], columns).reshape(gradient.shape[0], -1)
            for (start, stop), columns in zip(self.blocks, self.columns, strict=True)
        ], dim=1)  # fmt: skip

    def keep_inputs(self, inputs: Tensor) -> Tensor:
        return last(inputs, self.columns.reshape(-1)) if self.narrows else inputs

    def from_factors(self, outputs: Tensor, kept: Tensor) -> Tensor:
        groups = (
            kept.split(self.columns.shape[1], dim=-1) if self.narrows
            else (last(kept, columns) for columns in self.columns)
        )  # fmt: skip
        return torch.cat([
            product(outputs[..., start:stop], own).reshape(outputs.shape[0], -1)
            for (start, stop), own in zip(self.blocks, groups, strict=True)
        ], dim=1)  # fmt: skip

    def from_rows(self, ids: Tensor, values: Tensor) -> Tensor:
        own = self.columns[torch.bucketize(ids, self.ends, right=True)]  # [B, N, kept columns]
        kept = torch.gather(values, 2, own)
        return scatter_rows(ids, kept, self.parameter.matrix[0]).reshape(values.shape[0], -1)


def canonical(parameter: ParameterShape, gradient: Tensor) -> Tensor:
    """[B, *shape] as [B, outputs, inputs]."""
    if parameter.inputs_first:
        return gradient.transpose(1, 2)
    return gradient.reshape(gradient.shape[0], *parameter.matrix)


def last(values: Tensor, chosen: Tensor) -> Tensor:
    """``values[..., chosen]``. gather, as a CPU is slow at index_select here."""
    return torch.gather(values, -1, chosen.expand(*values.shape[:-1], -1))


def product(outputs: Tensor, kept: Tensor) -> Tensor:
    """Σ_n outputs[b, n, :] ⊗ kept[b, n, :]: [B, out, kept]. The narrow factor goes first.

    That way round is the faster on a CPU.
    """
    return torch.matmul(kept.transpose(1, 2), outputs).transpose(1, 2)
