"""What an engine and a projector agree on: a linear map from named gradients to k numbers.

A projection works in two halves. A ``Restriction`` says, parameter by parameter, which numbers of
the gradient are needed at all, so that an engine may form just those. ``Projection.add`` folds
them into the prompt's row. Both are linear, so contributions (a tied weight's two uses, chunks of
tokens) may be added in any grouping.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ParameterShape:
    """A trainable parameter as a projector sees it: its name is its identity, never its place.

    ``inputs_first`` tells a matrix stored as [in, out] (GPT-2's Conv1D) from the usual [out, in].
    """

    name: str
    shape: tuple[int, ...]
    inputs_first: bool = False

    @property
    def numel(self) -> int:
        return int(torch.Size(self.shape).numel())

    @property
    def matrix(self) -> tuple[int, int]:
        """(outputs, inputs): a vector is one row; leading axes of a larger tensor are rows."""
        if len(self.shape) < 2:
            return 1, self.numel
        if self.inputs_first:
            return self.shape[1], self.shape[0]
        return self.numel // self.shape[-1], self.shape[-1]


class Restriction(ABC):
    """The needed numbers of one parameter's gradient, in a fixed order."""

    size: int
    elementwise: bool  # a choice of coordinates, so that a coordinate-wise scale can follow it

    @abstractmethod
    def from_gradient(self, gradient: Tensor) -> Tensor:
        """[B, *shape] to [B, size], in the gradient's dtype."""

    def keep_inputs(self, inputs: Tensor) -> Tensor:
        """Of a layer's input [..., in] what ``from_factors`` will want; the rest is freed."""
        return inputs

    def from_factors(self, outputs: Tensor, kept: Tensor) -> Tensor:
        """[B, size] of the weight gradient Σ_n outputs[b, n, :] ⊗ inputs[b, n, :].

        outputs [B, N, out] are gradients at the layer's output, kept [B, N, ·] is
        ``keep_inputs(inputs)``. Override where less than the whole matrix can be formed.
        """
        return self.from_gradient(self.oriented(torch.matmul(outputs.transpose(1, 2), kept)))

    def from_rows(self, ids: Tensor, values: Tensor) -> Tensor:
        """[B, size] of an embedding's gradient: values [B, N, dim] added to rows ids [B, N]."""
        return self.from_gradient(scatter_rows(ids, values, self.parameter.shape[0]))

    parameter: ParameterShape

    def oriented(self, matrix: Tensor) -> Tensor:
        """[B, out, in] as [B, *shape] of the parameter."""
        if self.parameter.inputs_first:
            matrix = matrix.transpose(1, 2)
        return matrix.reshape(matrix.shape[0], *self.parameter.shape)


def scatter_rows(ids: Tensor, values: Tensor, rows: int) -> Tensor:
    """[B, rows, dim]: values [B, N, dim] added up in rows ids [B, N]; the same bits every time.

    On the CPU index_add_ goes from first to last. CUDA's adds with atomics in any order
    (pytorch#56521), so there the sum is a product with one-hot rows.
    """
    batch, _, dim = values.shape
    if values.is_cuda:
        one_hot = torch.nn.functional.one_hot(ids, rows).to(values.dtype)
        return torch.matmul(one_hot.transpose(1, 2), values)
    flat = values.new_zeros(batch * rows, dim)
    offsets = torch.arange(batch, device=ids.device).unsqueeze(1) * rows
    flat.index_add_(0, (ids + offsets).reshape(-1), values.reshape(-1, dim))
    return flat.view(batch, rows, dim)


class Projection(ABC):
    """A projector bound to one model's parameters.

    ``fingerprint`` (JSON values) is stored with every row; rows of different fingerprints are
    never compared.
    """

    dimension: int
    fingerprint: Mapping[str, Any]

    @abstractmethod
    def restriction(self, name: str) -> Restriction:
        """What of this parameter's gradient is needed."""

    @abstractmethod
    def add(self, rows: Tensor, name: str, values: Tensor) -> None:
        """Add a parameter's restricted gradients [B, size] to ``rows`` [B, dimension], in place.

        Called once a parameter and batch, in no particular order. ``rows`` are float32 (float64
        when the model is); ``values`` may be narrower and are widened before anything is added.
        """

    def zeros(self, prompts: int, like: Tensor) -> Tensor:
        """Rows to add to: float32, or float64 where ``like`` is, on its device."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        return torch.zeros(prompts, self.dimension, dtype=dtype, device=like.device)
