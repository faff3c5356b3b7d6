"""The order in which a phase goes through its selection: epoch after epoch, without end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cropi.runtime.seeds import stream

Order = Literal["shuffled", "as_selected"]


def prompts_at(
    ids: Sequence[str], start: int, count: int, *, seed: int, phase: int, order: Order
) -> list[str]:
    """Places ``start`` to ``start + count`` of the phase's endless sequence of prompt ids.

    ``shuffled``: epoch e is permuted by the stream ("order", phase, e), so every epoch differs
    and any place can be found again. ``as_selected``: best first, every epoch the same. A batch
    that reaches past an epoch's end goes on in the next.
    """
    if not ids:
        raise ValueError("no prompts to order")
    size = len(ids)
    epochs = range(start // size, (start + count - 1) // size + 1)
    places: list[int] = []
    for epoch in epochs:
        if order == "shuffled":
            places += stream(seed, "order", phase, epoch).permutation(size).tolist()
        else:
            places += range(size)
    first = start - epochs.start * size
    return [ids[place] for place in places[first : first + count]]
