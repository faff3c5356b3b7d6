"""Loading a policy from a Hugging Face id or folder, with dtype, device, attention and LoRA."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import Field

from cropi.contracts import Model, PositiveInt
from cropi.policies.policy import Policy
from cropi.policies.template import PromptTemplate
from cropi.runtime.errors import CropiError
from cropi.runtime.parts import Part, part

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@part
class Lora(Part):
    """A low-rank adapter (peft). Its dropout is 0: sampling and training must be one function."""

    rank: PositiveInt = 16
    alpha: Annotated[float, Field(gt=0.0)] = 32.0
    target_modules: str | list[str] = "all-linear"
    adapter: str | None = None  # start from this adapter's folder instead of a fresh one


@part
class Pretrained(Model):
    """What every policy in the Hugging Face format shares. A subclass says where its folder is."""

    template: PromptTemplate
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: str = "auto"
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    gradient_checkpointing: bool = False
    lora: Lora | None = None

    @abstractmethod
    def locate(self, cache: Path) -> tuple[str, str | None]:
        """The id or folder to load from, and the revision; makes the folder when it must."""

    def load(self, cache: Path) -> Policy:
        """The initial policy. Raises CropiError when the model cannot be found or loaded."""
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # its bars would run into ours
        source, revision = self.locate(cache)
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
            model = AutoModelForCausalLM.from_pretrained(
                source,
                revision=revision,
                dtype=getattr(torch, self.dtype),
                attn_implementation=self.attention,
            )
        except (OSError, ValueError, ImportError) as error:
            raise CropiError(
                f"model.path={source}: cannot be loaded: {str(error).splitlines()[0]}\n"
                f"Give a local folder or a Hugging Face id that this machine can reach"
            ) from error
        if self.template.chat and tokenizer.chat_template is None:
            raise CropiError(
                f"model.template.chat=true, but {source} has no chat template; "
                f"set model.template.chat=false"
            )
        without_dropout(model)
        model = self._with_adapter(model).to(self._device())
        if self.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        # Checkpointing works in training mode only; without dropout the two modes are the same.
        model.train(self.gradient_checkpointing)
        eos_ids = end_ids(model, tokenizer)
        pad_id = tokenizer.pad_token_id
        return Policy(
            name=source,
            model=model,
            tokenizer=tokenizer,
            template=self.template,
            eos_ids=eos_ids,
            pad_id=int(pad_id if pad_id is not None else eos_ids[0]),
        )

    def _device(self) -> torch.device:
        if self.device != "auto":
            try:
                return torch.empty(0, device=self.device).device
            except (RuntimeError, AssertionError) as error:
                raise CropiError(
                    f"model.device={self.device}: {str(error).splitlines()[0]}. "
                    f"Use auto, cpu or a device that `cropi doctor` lists"
                ) from error
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def _with_adapter(self, model: Any) -> Any:
        if self.lora is None:
            return model
        try:
            import peft
        except ImportError as error:
            raise CropiError("model.lora needs peft: pip install 'cropi[lora]'") from error
        if self.lora.adapter is not None:
            return peft.PeftModel.from_pretrained(model, self.lora.adapter, is_trainable=True)
        return peft.get_peft_model(
            model,
            peft.LoraConfig(
                task_type="CAUSAL_LM",
                r=self.lora.rank,
                lora_alpha=self.lora.alpha,
                lora_dropout=0.0,
                target_modules=self.lora.target_modules,
            ),
        )


@part
class HuggingFace(Pretrained):
    """Any causal language model by Hugging Face id or local folder."""

    path: str
    revision: str | None = None

    def locate(self, cache: Path) -> tuple[str, str | None]:
        folder = Path(self.path).expanduser()
        return (str(folder.resolve()) if folder.is_dir() else self.path), self.revision


def without_dropout(model: torch.nn.Module) -> None:
    """Switch every dropout off: behaviour and current log-probs must be the same function."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "dropout", "activation_dropout", "layerdrop"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def end_ids(model: Any, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Every id that ends a completion: the generation config's, the model's, the tokenizer's.

    Honouring only one of them leaves chat models "truncated" at full length (pitfall 16).
    """
    found: set[int] = set()
    for ids in (
        model.generation_config.eos_token_id if model.generation_config else None,
        model.config.eos_token_id,
        tokenizer.eos_token_id,
    ):
        found.update(ids if isinstance(ids, list | tuple) else [] if ids is None else [ids])
    if not found:
        raise CropiError("the model names no end-of-sequence token; it could never stop")
    return tuple(sorted(found))
