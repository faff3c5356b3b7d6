"""One forward pass over a layout, and what the estimator makes of its log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from cropi.influence.estimator import Estimator, drift
from cropi.influence.layout import Layout
from cropi.influence.prepared import Prepared


def edge_log_probs(model: Any, layout: Layout) -> Tensor:
    """[E] log-probabilities of the layout's distinct tokens at the groups' temperature.

    Reduced in float32 (float64 when the model is). Only the columns that predict a response token
    are asked of the model's head.
    """
    device = next(model.parameters()).device
    attention = layout.attention.to(device)
    if layout.shared:
        # Added to the scores, which every attention that takes a mask at all understands.
        dtype = next(model.parameters()).dtype
        closed = torch.finfo(dtype).min
        attention = torch.zeros(attention.shape, dtype=dtype, device=device).masked_fill_(
            ~attention, closed
        ).unsqueeze(1)  # fmt: skip
    logits = model(
        input_ids=layout.ids.to(device),
        attention_mask=attention,
        position_ids=layout.positions.to(device),
        logits_to_keep=layout.ids.shape[1] - layout.first,
        use_cache=False,
    ).logits
    scaled = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if (temperature := layout.groups[0].temperature) != 1.0:
        scaled = scaled / temperature
    rows, columns = layout.rows.to(device), layout.columns.to(device) - layout.first
    chosen = scaled[rows, columns, layout.tokens.to(device)]
    return chosen - torch.logsumexp(scaled, dim=-1)[rows, columns]


def group_arrays(group: Prepared, like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """behaviour and mask [K, T], rewards and correctness [K], in ``like``'s type and place."""
    return (
        torch.from_numpy(group.behaviour).to(like),
        torch.from_numpy(group.mask).to(like.device),
        torch.from_numpy(group.rewards).to(like),
        torch.from_numpy(group.correctness).to(like),
    )


def edge_coefficients(
    layout: Layout, log_probs: Tensor, estimator: Estimator
) -> tuple[Tensor, list[dict[str, float]]]:
    """[E] coefficients, and what to tell of each group (see ``Drift``).

    Where several trajectories share a token, its coefficient is their sum: computing it once
    leaves the gradient the same. ``log_probs`` are detached. A group with a coefficient that is
    not finite gets none at all, and ``finite`` 0 in its row.
    """
    total = torch.zeros_like(log_probs)
    told: list[dict[str, float]] = []
    for group, edges in zip(layout.groups, layout.edges_of, strict=True):
        behaviour, mask, rewards, correctness = group_arrays(group, log_probs)
        places = edges.to(log_probs.device)
        now = log_probs[places]
        own = estimator.coefficients(now, behaviour, mask, rewards).to(total.dtype)
        finite = bool(torch.isfinite(own).all())
        if finite:
            add_up(total, places[mask], own[mask])
        moved = drift(now, behaviour, mask, correctness)
        told.append({**asdict(moved), "finite": float(finite)})
    return total, told


def add_up(total: Tensor, places: Tensor, values: Tensor) -> None:
    """total[places] += values, with repeated places; the same bits every time on every device."""
    if total.is_cuda:
        total.index_put_((places,), values, accumulate=True)
    else:
        total.index_add_(0, places, values)


def columns_of(told: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Rows of named numbers as named columns."""
    return {name: [row[name] for row in told] for name in told[0]} if told else {}
