"""How groups are laid out for one forward pass: repeated, or as a tree that shares prefixes.

``repeated`` gives every distinct response a row of its own, prompt included, padded on the right.
``shared`` gives every prompt one row: the prompt once, then the tree of its responses, where
common beginnings are one path. A mask lets each token see its own ancestors only and positions
count ancestors, so every log-probability is what it would be alone. The last token of a response
predicts nothing and is no input in either layout.

Either way what comes out are *edges*: (row, column, token) names the logit that a distinct token
is read from, and ``edges_of`` maps a group's [K, T] tokens to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cropi.influence.prepared import Prepared


@dataclass(frozen=True)
class Layout:
    """One forward pass over B groups.

    ids, positions int64 [R, L]; attention int64 [R, L], or bool [R, L, L] when shared (query,
    key); rows, columns, tokens int64 [E]; ``edges_of[b]`` int64 [K, T] (0 where masked);
    ``first`` is the first column whose logits are needed. ``shared``: row b is group b.
    """

    groups: tuple[Prepared, ...]
    ids: Tensor
    positions: Tensor
    attention: Tensor
    rows: Tensor
    columns: Tensor
    tokens: Tensor
    edges_of: tuple[Tensor, ...]
    first: int
    shared: bool
    inputs: tuple[int, ...]  # [B] input tokens of each group, without padding


def repeated(groups: Sequence[Prepared], pad_id: int) -> Layout:
    """Every distinct response in its own row."""
    inputs: list[np.ndarray] = []
    edges: list[np.ndarray] = []  # [3, T] a response: row, column, token
    edges_of: list[Tensor] = []
    sizes: list[int] = []
    count = 0
    for group in groups:
        starts = np.zeros(len(group.responses), dtype=np.int64)
        sizes.append(sum(len(group.prompt) + max(0, len(r) - 1) for r in group.responses))
        for place, response in enumerate(group.responses):
            row, prompt = len(inputs), len(group.prompt)
            starts[place] = count
            count += len(response)
            columns = prompt - 1 + np.arange(len(response))
            edges.append(np.stack([np.full(len(response), row), columns, response]))
            inputs.append(np.concatenate([group.prompt, response[:-1]]))
        index = starts[group.response_of][:, None] + np.arange(group.length)
        edges_of.append(torch.from_numpy(np.where(group.mask, index, 0)))
    width = max(map(len, inputs))
    ids = np.full((len(inputs), width), pad_id, dtype=np.int64)
    attention = np.zeros((len(inputs), width), dtype=np.int64)
    for row, tokens in enumerate(inputs):
        ids[row, : len(tokens)] = tokens
        attention[row, : len(tokens)] = 1
    positions = np.broadcast_to(np.arange(width), ids.shape)
    return _layout(
        groups, ids, positions, attention, edges, edges_of,
        shared=False, inputs=sizes,
    )  # fmt: skip


def shared(groups: Sequence[Prepared], pad_id: int) -> Layout:
    """Every group in one row, as the tree of its responses behind one prompt."""
    trees = [_tree(group) for group in groups]
    width = max(len(tree.tokens) for tree in trees)
    ids = np.full((len(groups), width), pad_id, dtype=np.int64)
    positions = np.zeros((len(groups), width), dtype=np.int64)
    attention = np.zeros((len(groups), width, width), dtype=bool)
    attention[:, np.arange(width), np.arange(width)] = True  # padding sees itself: no empty row
    edges: list[np.ndarray] = []
    edges_of: list[Tensor] = []
    count = 0
    for row, (group, tree) in enumerate(zip(groups, trees, strict=True)):
        size, prompt = len(tree.tokens), len(group.prompt)
        ids[row, :size] = tree.tokens
        attention[row, :prompt, :prompt] |= np.tri(prompt, dtype=bool)
        for column in range(prompt, size):
            attention[row, column] |= attention[row, tree.parents[column]]
        positions[row, :size] = attention[row, :size].sum(axis=1) - 1
        edges.append(np.stack([np.full(len(tree.edges), row), *np.array(tree.edges).T]))
        edges_of.append(torch.from_numpy(np.where(group.mask, tree.edges_of + count, 0)))
        count += len(tree.edges)
    return _layout(
        groups, ids, positions, attention, edges, edges_of,
        shared=True, inputs=[len(tree.tokens) for tree in trees],
    )  # fmt: skip


def _layout(
    groups: Sequence[Prepared],
    ids: np.ndarray,
    positions: np.ndarray,
    attention: np.ndarray,
    edges: list[np.ndarray],
    edges_of: list[Tensor],
    *,
    shared: bool,
    inputs: Sequence[int],
) -> Layout:
    rows, columns, tokens = torch.from_numpy(np.concatenate(edges, axis=1).astype(np.int64))
    return Layout(
        tuple(groups),
        torch.from_numpy(ids),
        torch.from_numpy(np.ascontiguousarray(positions)),
        torch.from_numpy(attention),
        rows,
        columns,
        tokens,
        tuple(edges_of),
        first=min(len(group.prompt) for group in groups) - 1,
        shared=shared,
        inputs=tuple(inputs),
    )


@dataclass(frozen=True)
class _Tree:
    """Input tokens of a row; parents of the columns; edges (column, token); edges_of [K, T]."""

    tokens: np.ndarray
    parents: list[int]
    edges: list[tuple[int, int]]
    edges_of: np.ndarray


def _tree(group: Prepared) -> _Tree:
    prompt = len(group.prompt)
    tokens = group.prompt.tolist()
    parents = [column - 1 for column in range(prompt)]
    edges: dict[tuple[int, int], int] = {}
    children: dict[tuple[int, int], int] = {}
    paths = np.zeros((len(group.responses), group.length), dtype=np.int64)
    for place, response in enumerate(group.responses):
        column, last = prompt - 1, len(response) - 1
        for t, token in enumerate(response.tolist()):
            edge = (column, token)
            paths[place, t] = edges.setdefault(edge, len(edges))
            if t < last:
                if edge not in children:
                    children[edge] = len(tokens)
                    tokens.append(token)
                    parents.append(column)
                column = children[edge]
    return _Tree(np.array(tokens), parents, list(edges), paths[group.response_of])
