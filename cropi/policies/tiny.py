"""A small policy for the arithmetic testbed, warm-started by supervised steps on its text.

It is right on a part of the prompts only, as an instruction-tuned model is before RLVR, and it
takes about a minute to make on one core; the result is kept in the cache under the hash of
everything that went into it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from filelock import FileLock
from pydantic import Field

from cropi import arithmetic
from cropi.contracts import PositiveInt
from cropi.policies.logprobs import TokenBatch, token_log_probs
from cropi.policies.pretrained import Pretrained
from cropi.runtime.files import replace_folder
from cropi.runtime.parts import part
from cropi.runtime.seeds import derive, stream

SPECIAL = ["<pad>", "<eos>", "<unk>"]
# Part of the cache key: raise it when the testbed's text or this file's recipe changes.
RECIPE = 1
log = logging.getLogger(__name__)


@part
class Tiny(Pretrained):
    """A Llama or Qwen2 architecture of some 100,000 parameters with a digit-level tokenizer."""

    architecture: Literal["llama", "qwen2"] = "llama"
    hidden_size: PositiveInt = 64
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    intermediate_size: PositiveInt = 192
    design: Literal["curriculum", "aligned"] = "curriculum"
    examples: PositiveInt = 60_000
    steps: Annotated[int, Field(ge=0)] = 1250
    batch_size: PositiveInt = 256
    learning_rate: Annotated[float, Field(gt=0.0)] = 4e-3
    warm_start_seed: Annotated[int, Field(ge=0)] = 0

    def __post_init__(self) -> None:
        if self.hidden_size % self.heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} is not a multiple of heads={self.heads}"
            )

    def locate(self, cache: Path) -> tuple[str, str | None]:
        names = (
            "architecture", "hidden_size", "layers", "heads", "intermediate_size", "design",
            "examples", "steps", "batch_size", "learning_rate", "warm_start_seed",
        )
        recipe = {"recipe": RECIPE, **{name: getattr(self, name) for name in names}}
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]
        folder = cache / "models" / f"tiny-{digest}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Two runs that need the same warm start make it once.
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                self._warm_start(folder, recipe)
        return str(folder), None

    def _warm_start(self, folder: Path, recipe: dict[str, Any]) -> None:
        log.info("warm-starting the tiny policy: %d supervised steps, once", self.steps)
        tokenizer = digit_tokenizer()
        model = self._blank(tokenizer)
        pairs = arithmetic.supervised_examples(self.examples, self.warm_start_seed, self.design)
        encoded = [
            (tokenizer(prompt)["input_ids"], [*tokenizer(answer)["input_ids"], 1])
            for prompt, answer in pairs
        ]
        with _one_thread():
            supervised_steps(
                model,
                encoded,
                steps=self.steps,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                seed=self.warm_start_seed,
            )
        part_folder = folder.with_name(folder.name + ".part")
        model.save_pretrained(part_folder)
        tokenizer.save_pretrained(part_folder)
        (part_folder / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n")
        replace_folder(part_folder, folder)

    def _blank(self, tokenizer: Any) -> Any:
        from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

        config_class, model_class = {
            "llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)
        }[self.architecture]
        config = config_class(
            vocab_size=len(tokenizer),
            hidden_size=self.hidden_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            intermediate_size=self.intermediate_size,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            # Wider than the usual 0.02, with which so small a model learns far slower.
            initializer_range=0.06,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=1,
        )
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.warm_start_seed, "tiny", "weights"))
            return model_class(config)


@contextmanager
def _one_thread() -> Iterator[None]:
    """So small a model gains nothing from more, and loses tenfold where cores are shared; with
    one, the weights are the same bits whatever the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def digit_tokenizer() -> Any:
    """One token a character of the testbed, plus padding, end and unknown."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *arithmetic.ALPHABET])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def supervised_steps(
    model: Any,
    pairs: Sequence[tuple[list[int], list[int]]],
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    warm_up: int = 50,
) -> None:
    """Next-token training on the responses: AdamW, linear warm-up, cosine to 5 per cent."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    random = stream(seed, "tiny", "batches")
    model.train()
    for step in range(steps):
        progress = step / max(1, steps)
        decay = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / warm_up) * decay
        rows = random.integers(len(pairs), size=batch_size)
        batch = TokenBatch.of(
            [pairs[i][0] for i in rows], [pairs[i][1] for i in rows], pad_id=0
        )
        loss = -token_log_probs(model, batch).values.sum() / batch.completion_mask.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 250 == 249:
            log.info("warm start: step %d of %d, loss %.3f", step + 1, steps, loss.item())
    model.eval()
