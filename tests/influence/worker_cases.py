"""What worker processes load: a model without transformers, whose import takes far longer."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from influence_cases import VOCABULARY, wrap

from cropi.contracts import Model
from cropi.influence.row_file import RowFile
from cropi.policies.policy import Policy
from cropi.runtime.errors import CropiError
from cropi.runtime.parts import part


def die_at_write(number: int, fail: Callable[[], object]) -> None:
    """``fail`` after this process's ``number``-th write to a file of a store (3 make a pass)."""
    original, seen = RowFile.write, 0

    def write(self: RowFile, *arguments: Any, **kwargs: Any) -> None:
        nonlocal seen
        seen += 1
        original(self, *arguments, **kwargs)
        if seen == number:
            fail()

    RowFile.write = write  # type: ignore[method-assign]


def kill_me() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Bigram(torch.nn.Module):
    """A language model without attention."""

    config = SimpleNamespace(num_hidden_layers=1, hidden_size=6)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.embedding = torch.nn.Embedding(VOCABULARY, 6)
        self.inner = torch.nn.Linear(6, 6)
        self.head = torch.nn.Linear(6, VOCABULARY, bias=False)

    def forward(self, input_ids: torch.Tensor, logits_to_keep: int, **_: Any) -> Any:
        hidden = self.inner(self.embedding(input_ids)).tanh()
        return SimpleNamespace(logits=self.head(hidden[:, -logits_to_keep:]))


@part
class Drawn(Model):
    """That model; in a worker it may come to a bad end."""

    end: str = ""

    def load(self, cache: Path) -> Policy:
        if self.end and multiprocessing.parent_process() is not None:
            with suppress(FileExistsError):  # the other worker's
                (cache / "bad end").touch(exist_ok=False)
                die_at_write(4, kill_me if self.end == "kill" else self.refuse)
        return wrap(Bigram())

    def refuse(self) -> None:
        raise CropiError("the disk is full of birds")
