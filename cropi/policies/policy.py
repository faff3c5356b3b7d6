"""A policy: a causal language model with its tokenizer and prompt template."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from cropi.policies.template import PromptTemplate
from cropi.runtime.errors import CropiError
from cropi.types import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WEIGHTS = "policy.safetensors"


@dataclass
class Policy:
    """A loaded model and all that is needed to speak with it.

    ``eos_ids`` are every id that ends a completion. ``pad_id`` is a filler only: masks come from
    lengths, never from it. Dropout is off for good, so that sampling and training see the same
    function.
    """

    name: str
    model: Any  # transformers.PreTrainedModel, possibly wrapped by peft
    tokenizer: PreTrainedTokenizerBase
    template: PromptTemplate
    eos_ids: tuple[int, ...]
    pad_id: int

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """The prompt's token ids with the template applied."""
        return self.template.encode(self.tokenizer, prompt)

    def decode(self, token_ids: Sequence[int]) -> str:
        """A completion as text, without special tokens."""
        text: str = self.tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def trainable(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Named trainable parameters, each tied weight once, in a fixed order."""
        return ((n, p) for n, p in self.model.named_parameters() if p.requires_grad)

    def state(self) -> dict[str, torch.Tensor]:
        """What training changes: the trainable parameters, detached and on the CPU."""
        return {n: p.detach().to("cpu").contiguous() for n, p in self.trainable()}

    def save_weights(self, folder: Path) -> None:
        """Write the trainable parameters as safetensors (an adapter's only, under LoRA)."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.state(), folder / WEIGHTS)

    def export(self, folder: Path) -> None:
        """Write model and tokenizer in the Hugging Face format, for use anywhere."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def load_weights(self, folder: Path) -> None:
        """Restore what ``save_weights`` wrote. Raises CropiError when names or shapes differ."""
        saved = load_file(folder / WEIGHTS)
        own = dict(self.trainable())
        if set(saved) != set(own):
            odd = sorted(set(saved) ^ set(own))[:3]
            raise CropiError(f"{folder / WEIGHTS} belongs to another model (for example {odd})")
        with torch.no_grad():
            for name, parameter in own.items():
                if saved[name].shape != parameter.shape:
                    raise CropiError(
                        f"{folder / WEIGHTS}: {name} has shape {tuple(saved[name].shape)}, "
                        f"the model's has {tuple(parameter.shape)}"
                    )
                parameter.copy_(saved[name])

    def fingerprint(self) -> str:
        """sha256 over the trainable weights' names and bytes (16 hexadecimal digits)."""
        digest = hashlib.sha256()
        for name, tensor in self.state().items():
            digest.update(name.encode())
            digest.update(tensor.view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]
