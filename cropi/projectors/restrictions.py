"""Which numbers of a parameter's gradient are needed, and how to form no others."""

from __future__ import annotations

from collections.abc import Sequence

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
        return matrix.index_select(2, self.columns).reshape(gradient.shape[0], -1)

    def keep_inputs(self, inputs: Tensor) -> Tensor:
        return inputs.index_select(inputs.ndim - 1, self.columns)

    def from_factors(self, outputs: Tensor, kept: Tensor) -> Tensor:
        return torch.matmul(outputs.transpose(1, 2), kept).reshape(outputs.shape[0], -1)

    def from_rows(self, ids: Tensor, values: Tensor) -> Tensor:
        kept = values.index_select(2, self.columns)
        return scatter_rows(ids, kept, self.parameter.matrix[0]).reshape(values.shape[0], -1)


class RowGroups(Restriction):
    """Blocks of rows, each with columns of its own."""

    elementwise = True

    def __init__(
        self, parameter: ParameterShape, blocks: Sequence[tuple[int, int, Tensor]]
    ) -> None:
        """``blocks``: first row, row after the last, columns."""
        self.parameter = parameter
        self.blocks = list(blocks)
        self.size = sum((stop - start) * len(columns) for start, stop, columns in blocks)

    def from_gradient(self, gradient: Tensor) -> Tensor:
        matrix = canonical(self.parameter, gradient)
        return torch.cat([
            matrix[:, start:stop].index_select(2, columns).reshape(gradient.shape[0], -1)
            for start, stop, columns in self.blocks
        ], dim=1)  # fmt: skip

    def from_factors(self, outputs: Tensor, kept: Tensor) -> Tensor:
        return torch.cat([
            torch.matmul(
                outputs[..., start:stop].transpose(1, 2), kept.index_select(2, columns)
            ).reshape(outputs.shape[0], -1)
            for start, stop, columns in self.blocks
        ], dim=1)  # fmt: skip


class TwoSided(Restriction):
    """left · G · rightᵀ: left [p, out], right [q, in]; None leaves a side as it is."""

    elementwise = False

    def __init__(
        self, parameter: ParameterShape, left: Tensor | None, right: Tensor | None
    ) -> None:
        self.parameter = parameter
        self.left, self.right = left, right
        rows, columns = parameter.matrix
        self.size = (rows if left is None else len(left)) * (
            columns if right is None else len(right)
        )

    def from_gradient(self, gradient: Tensor) -> Tensor:
        matrix = canonical(self.parameter, gradient)
        if self.left is not None:
            matrix = torch.matmul(self.left.to(matrix.dtype), matrix)
        if self.right is not None:
            matrix = torch.matmul(matrix, self.right.to(matrix.dtype).T)
        return matrix.reshape(gradient.shape[0], -1)

    def keep_inputs(self, inputs: Tensor) -> Tensor:
        return inputs if self.right is None else torch.matmul(inputs, self.right.to(inputs.dtype).T)

    def from_factors(self, outputs: Tensor, kept: Tensor) -> Tensor:
        if self.left is not None:
            outputs = torch.matmul(outputs, self.left.to(outputs.dtype).T)
        return torch.matmul(outputs.transpose(1, 2), kept).reshape(outputs.shape[0], -1)

    def from_rows(self, ids: Tensor, values: Tensor) -> Tensor:
        if self.right is not None:
            values = torch.matmul(values, self.right.to(values.dtype).T)
        if self.left is None:
            return scatter_rows(ids, values, self.parameter.matrix[0]).reshape(len(values), -1)
        rows = self.left.to(values.dtype).T[ids]  # [B, N, p]
        return torch.matmul(rows.transpose(1, 2), values).reshape(len(values), -1)


def canonical(parameter: ParameterShape, gradient: Tensor) -> Tensor:
    """[B, *shape] as [B, outputs, inputs]."""
    if parameter.inputs_first:
        return gradient.transpose(1, 2)
    return gradient.reshape(gradient.shape[0], *parameter.matrix)
