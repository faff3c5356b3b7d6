"""Which groups share a forward pass, and in which layout: counted, not tried out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from cropi.influence.prepared import Prepared

Prefix = Literal["auto", "shared", "repeated"]


@dataclass(frozen=True)
class Pass:
    """The groups of one forward pass, by place, and whether their layout is ``shared``."""

    places: tuple[int, ...]
    shared: bool


@dataclass(frozen=True)
class Work:
    """Multiplications a token (linear layers) and a pair of tokens (attention) of a model."""

    token: float
    pair: float

    @classmethod
    def of(cls, model: Any) -> Work:
        """From the configuration and the sizes of the matrices that every token passes."""
        looked_up = {
            id(module.weight) for module in model.modules()
            if isinstance(module, torch.nn.Embedding)
        }  # fmt: skip
        block = sum(
            p.numel() for p in model.parameters() if p.ndim > 1 and id(p) not in looked_up
        )
        layers = getattr(model.config, "num_hidden_layers", 1)
        return cls(2.0 * block, 4.0 * getattr(model.config, "hidden_size", 1) * layers)


def takes_a_tree(model: Any) -> bool:
    """Whether the attention takes a mask of any shape: flash attention does not."""
    return "flash" not in str(getattr(model.config, "_attn_implementation", ""))


def is_cheaper_shared(group: Prepared, work: Work) -> bool:
    """Whether one row with a tree mask costs fewer multiplications than a row a response.

    The tree's size is bounded by the prompt plus all responses; its attention is square in that.
    """
    rows, prompt = len(group.responses), len(group.prompt)
    width = prompt + group.length - 1
    tree = prompt + sum(max(0, len(response) - 1) for response in group.responses)
    return tree * work.token + tree**2 * work.pair < rows * (
        width * work.token + width**2 * work.pair
    )


def batches(
    groups: Sequence[Prepared],
    *,
    prefix: Prefix,
    work: Work,
    batch_tokens: int,
    most: int,
    several_repeated: bool = False,
) -> Iterator[Pass]:
    """The passes, in order of the groups.

    A shared pass holds at most ``most`` groups and ``batch_tokens`` padded tokens. A repeated pass
    holds one group, unless ``several_repeated``. A pass never mixes layouts or temperatures.
    """
    current: list[int] = []
    layout, width, count, temperature = False, 0, 0, 1.0
    for place, group in enumerate(groups):
        is_shared = prefix == "shared" or (
            prefix == "auto" and is_cheaper_shared(group, work)
        )
        own = len(group.prompt) + (
            sum(map(len, group.responses)) if is_shared else group.length
        )
        rows = 1 if is_shared else len(group.responses)
        fits = (
            current
            and is_shared == layout
            and (is_shared or several_repeated)
            and group.temperature == temperature
            and len(current) < most
            and max(width, own) * (count + rows) <= batch_tokens
        )
        if current and not fits:
            yield Pass(tuple(current), layout)
            current, width, count = [], 0, 0
        current.append(place)
        layout, temperature = is_shared, group.temperature
        width, count = max(width, own), count + rows
    if current:
        yield Pass(tuple(current), layout)
