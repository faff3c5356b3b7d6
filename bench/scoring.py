"""What a prompt's gradient costs: every engine and projector beside a bare forward and backward.

    python bench/scoring.py --models tiny,5M,30M --engines fast,reference --repeats 3

One JSON object a line. ``ratio_to_bare`` is median over median of CPU seconds, the variant and the
bare pass strictly interleaved in this process on the same tokens (K responses of the given length
to one prompt, random weights, float32). ``peak_mb`` is the peak resident memory above that of the
loaded model. ``traker`` rows are the usual recipe: the whole gradient, then traker's
BasicProjector (pip install traker --no-deps); a few output numbers are timed and scaled up.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml

from cropi.catalogue import conf_folder
from cropi.contracts import Projector
from cropi.influence.directional import Directional
from cropi.influence.engine import Engine, shapes_of
from cropi.influence.estimator import Estimator
from cropi.influence.exact import Alignments
from cropi.influence.fast import Fast
from cropi.influence.layout import repeated
from cropi.influence.passes import edge_coefficients, edge_log_probs
from cropi.influence.prepared import Prepared, prepare
from cropi.influence.reference import Reference
from cropi.policies.policy import Policy
from cropi.policies.template import PromptTemplate
from cropi.projectors.projection import Projection
from cropi.runtime.parts import build
from cropi.types import Group, Trajectory, Verdict

SHAPES = {
    "tiny": (64, 192, 2, 4, 4, 24),
    "5M": (256, 704, 6, 4, 2, 4096),
    "30M": (512, 1408, 9, 8, 4, 8192),
    "135M": (576, 1536, 30, 9, 3, 49152),
}
SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers",
         "num_attention_heads", "num_key_value_heads", "vocab_size")  # fmt: skip
ENGINES: dict[str, type[Engine]] = {"fast": Fast, "reference": Reference}
PROJECTORS = {
    "fast": ["columns", "row_groups", "kronecker", "sparse", "exact"],
    "reference": ["sparse", "sparse keep=1", "columns", "exact"],
    "directional": ["exact"],
    "traker": ["full", "sparse"],
}
SETS = 2  # validation sets of the exact rows
TRAKER_BLOCK, TRAKER_ROWS = 8, 16  # output numbers a block and prompts a call


@dataclass(frozen=True)
class Variant:
    engine: str
    projector: str
    keep: float
    k: int
    run: Callable[[], object]


def main() -> None:
    asked = _arguments()
    torch.set_num_threads(asked.threads)
    for name in asked.models.split(","):
        policy = _policy(name)
        group = _group(policy, asked.responses, asked.length, asked.prompt)
        parameters = sum(p.numel() for _, p in policy.trainable())
        for variant in _variants(policy, group, asked):
            own, bare, own_peak, bare_peak = _measure(
                variant.run, lambda: _bare(policy, group), asked.repeats  # noqa: B023
            )
            extra = variant.run.__dict__.get("extra", 0.0)
            print(json.dumps({
                "model": name, "parameters": parameters, "engine": variant.engine,
                "projector": variant.projector, "keep": variant.keep, "k": variant.k,
                "seconds_per_prompt": round(own + extra, 4), "peak_mb": round(own_peak),
                "ratio_to_bare": round((own + extra) / bare, 3),
                "peak_ratio_to_bare": round(own_peak / bare_peak, 3),
                "extrapolated": extra > 0,
                "bare_seconds": round(bare, 4), "responses": asked.responses,
                "tokens": asked.length, "repeats": asked.repeats, "threads": asked.threads,
            }), flush=True)  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="tiny,5M,30M,135M", help=", ".join(SHAPES))
    parser.add_argument("--engines", default="fast,reference,directional,traker")
    parser.add_argument("--projectors", help="only these, such as columns,exact")
    parser.add_argument("--keep", type=float, default=0.1)
    parser.add_argument("--k", type=int, default=32768)
    parser.add_argument("--responses", type=int, default=8)
    parser.add_argument("--length", type=int, default=256, help="tokens a response")
    parser.add_argument("--prompt", type=int, default=32, help="tokens of the prompt")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _policy(name: str) -> Policy:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    sizes = dict(zip(SIZES, SHAPES[name], strict=True))
    config = Qwen2Config(**sizes, tie_word_embeddings=True, pad_token_id=None)
    model = Qwen2ForCausalLM(config).eval()
    template = PromptTemplate(chat=False)
    return Policy(name, model, None, template, (1,), 0)  # type: ignore[arg-type]


def _group(policy: Policy, responses: int, length: int, prompt: int) -> Prepared:
    random = np.random.default_rng(0)
    vocabulary = policy.model.config.vocab_size
    trajectories = tuple(
        Trajectory(
            random.integers(2, vocabulary, length).astype(np.int32),
            np.full(length, -np.log(vocabulary), dtype=np.float32),
            "stop", "", Verdict(float(k % 2), "ok", "bench"),
        )
        for k in range(responses)
    )  # fmt: skip
    tokens = random.integers(2, vocabulary, prompt).astype(np.int32)
    ready = prepare(Group("bench", tokens, trajectories))
    assert isinstance(ready, Prepared)
    return ready


def _bare(policy: Policy, group: Prepared) -> None:
    """What training would spend on these tokens: forward, and backward to all weights."""
    layout = repeated([group], policy.pad_id)
    log_probs = edge_log_probs(policy.model, layout)
    coefficients, _ = edge_coefficients(layout, log_probs.detach(), Estimator())
    log_probs.backward(coefficients)
    policy.model.zero_grad(set_to_none=True)


def _variants(policy: Policy, group: Prepared, asked: argparse.Namespace) -> Iterator[Variant]:
    for engine in asked.engines.split(","):
        for projector in PROJECTORS[engine]:
            if asked.projectors and projector not in asked.projectors.split(","):
                continue
            kind, _, option = projector.partition(" ")
            keep = float(option.removeprefix("keep=")) if option else asked.keep
            if engine == "traker":
                if (run := _traker(policy, group, kind, keep, asked.k)) is not None:
                    yield Variant(engine, projector, 1.0 if kind == "full" else keep, asked.k, run)
                continue
            projection = _projection(policy, kind, keep, asked.k)
            made = Directional(prefix="repeated") if engine == "directional" else (
                ENGINES[engine](prefix="repeated")
            )  # fmt: skip
            exact = kind == "exact"
            yield Variant(
                engine, "none" if exact else kind, 1.0 if exact else keep, projection.dimension,
                lambda e=made, p=projection: list(  # type: ignore[misc]
                    e.gradients(policy, [group], p, Estimator())
                ),
            )  # fmt: skip


def _projection(policy: Policy, kind: str, keep: float, k: int) -> Projection:
    shapes = shapes_of(policy)
    if kind == "exact":
        torch.manual_seed(1)
        return Alignments(shapes, torch.randn(SETS, sum(s.numel for s in shapes)))
    path = conf_folder() / "projector" / f"{kind}.yaml"
    options = yaml.safe_load(path.read_text(encoding="utf-8"))
    options |= {name: value for name, value in (("keep", keep), ("k", k)) if name in options}
    projector: Projector = build(options, Projector, "projector")  # type: ignore[type-abstract]
    return projector.bind(shapes, policy.device)


def _traker(
    policy: Policy, group: Prepared, kind: str, keep: float, k: int
) -> Callable[[], object] | None:
    """Forward, backward and a flat gradient; ``extra`` seconds a prompt are the projection's."""
    try:
        from trak.projectors import BasicProjector, ProjectionType
    except ImportError:
        return None
    size = sum(p.numel() for _, p in policy.trainable())
    kept = size if kind == "full" else int(size * keep)
    if kept * (TRAKER_BLOCK + TRAKER_ROWS) * 4 > 12e9:
        return None
    projector = BasicProjector(
        kept, 2 * TRAKER_BLOCK, 0, ProjectionType.rademacher, torch.device("cpu"), TRAKER_BLOCK
    )
    rows = torch.randn(TRAKER_ROWS, kept)
    began = time.process_time()
    projector.project(rows, 0)
    spent = time.process_time() - began
    chosen = None if kind == "full" else torch.randperm(size)[:kept]

    def run() -> torch.Tensor:
        layout = repeated([group], policy.pad_id)
        log_probs = edge_log_probs(policy.model, layout)
        coefficients, _ = edge_coefficients(layout, log_probs.detach(), Estimator())
        log_probs.backward(coefficients)
        flat = torch.cat([p.grad.reshape(-1) for _, p in policy.trainable()])
        policy.model.zero_grad(set_to_none=True)
        return flat if chosen is None else flat[chosen]

    run.__dict__["extra"] = spent * k / (2 * TRAKER_BLOCK) / TRAKER_ROWS
    return run


def _measure(
    own: Callable[[], object], bare: Callable[[], object], repeats: int
) -> tuple[float, float, float, float]:
    """Median CPU seconds and largest peaks in MB of both, taken in turns after one warm-up."""
    bare()
    own()
    seconds: dict[str, list[float]] = {"own": [], "bare": []}
    peaks = {"own": 0.0, "bare": 0.0}
    for _ in range(repeats):
        for name, work in (("bare", bare), ("own", own)):
            start = _reset_peak()
            began = time.process_time()
            work()
            seconds[name].append(time.process_time() - began)
            peaks[name] = max(peaks[name], _status("VmHWM") - start)
    return (
        statistics.median(seconds["own"]), statistics.median(seconds["bare"]),
        peaks["own"], peaks["bare"],
    )  # fmt: skip


def _reset_peak() -> float:
    """Give freed memory back, forget the peak so far; the resident MB that are left (Linux)."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return float(line.split()[1]) / 1024
    raise RuntimeError(f"no {field} in /proc/self/status")


if __name__ == "__main__":
    main()
