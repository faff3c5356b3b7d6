"""A weight gradient between two thin matrices: linear, but no choice of coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from cropi.projectors.projection import ParameterShape, Restriction, scatter_rows
from cropi.projectors.restrictions import canonical


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
        # One prompt at a time: a product's last bits may follow the number of prompts in it.
        return torch.stack(
            [self._small(matrix).reshape(-1) for matrix in canonical(self.parameter, gradient)]
        )

    def _small(self, matrix: Tensor) -> Tensor:
        if self.left is not None:
            matrix = torch.matmul(self.left.to(matrix.dtype), matrix)
        if self.right is not None:
            matrix = torch.matmul(matrix, self.right.to(matrix.dtype).T)
        return matrix

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
