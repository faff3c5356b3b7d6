"""Tiny random models of several families, groups drawn by hand, and autograd's own answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cropi.advantages import group_advantages
from cropi.influence.engine import Engine, shapes_of
from cropi.influence.estimator import Estimator
from cropi.influence.prepared import Prepared, prepare
from cropi.policies.logprobs import TokenBatch, token_log_probs
from cropi.policies.policy import Policy
from cropi.policies.template import PromptTemplate
from cropi.projectors.none import NoProjection
from cropi.projectors.projection import Projection
from cropi.runtime.seeds import stream
from cropi.types import Group, Trajectory, Verdict

VOCABULARY, PAD, EOS = 13, 11, 12
FAMILIES = ["llama", "llama_untied", "llama_gqa", "qwen2", "gpt2", "gpt2_untied"]


def model_of(family: str, dtype: torch.dtype = torch.float64, seed: int = 0) -> Any:
    import transformers

    torch.manual_seed(seed)
    tied = not family.endswith("untied")
    if family.startswith("gpt2"):
        config = transformers.GPT2Config(
            vocab_size=VOCABULARY, n_embd=8, n_layer=2, n_head=2, n_positions=64,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.3,
            tie_word_embeddings=tied, eos_token_id=EOS, pad_token_id=None, bos_token_id=None,
        )
        model = transformers.GPT2LMHeadModel(config)
    else:
        name = "Qwen2" if family == "qwen2" else "Llama"
        config = getattr(transformers, f"{name}Config")(
            vocab_size=VOCABULARY, hidden_size=8, intermediate_size=12, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2 if family == "llama_gqa" else 4,
            initializer_range=0.3, tie_word_embeddings=tied, eos_token_id=EOS,
            pad_token_id=PAD, bos_token_id=None,
        )
        model = getattr(transformers, f"{name}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # norms and biases off their trivial starting values
                parameter.add_(0.1 * torch.randn_like(parameter))
    if dtype == torch.float64:
        for module in model.modules():
            if type(module).__name__.endswith("RMSNorm"):
                module.forward = partial(rms_norm_in_float64, module)
    return model.to(dtype).eval()


def rms_norm_in_float64(module: Any, inputs: Tensor) -> Tensor:
    """transformers' own rounds to float32 in a float64 model, which hides errors below 1e-7."""
    scale = torch.rsqrt(inputs.square().mean(dim=-1, keepdim=True) + module.variance_epsilon)
    return module.weight * (inputs * scale)


def policy_of(family: str, dtype: torch.dtype = torch.float64, seed: int = 0) -> Policy:
    return wrap(model_of(family, dtype, seed))


def wrap(model: Any) -> Policy:
    return Policy("tiny", model, None, PromptTemplate(chat=False), (EOS,), PAD)  # type: ignore[arg-type]


def group_of(
    name: str,
    prompt: Sequence[int],
    responses: Sequence[Sequence[int]],
    rewards: Sequence[float | None],
    behaviour: Sequence[Sequence[float]],
    temperature: float = 1.0,
) -> Group:
    trajectories = tuple(
        Trajectory(
            np.array(ids, dtype=np.int32), np.array(logs, dtype=np.float32), "stop", "",
            Verdict(reward, "ok" if reward is not None else "bad_gold", "hand"),
        )
        for ids, logs, reward in zip(responses, behaviour, rewards, strict=True)
    )
    return Group(name, np.array(prompt, dtype=np.int32), trajectories, temperature)


def random_group(seed: int, *, samples: int = 4, longest: int = 5, repeats: bool = True) -> Group:
    """Prompts of 2 to 6 tokens; responses that share beginnings, some the same."""
    random = stream(seed, "influence group")
    prompt = random.integers(0, 11, size=2 + seed % 5).tolist()
    common = random.integers(0, 11, size=2).tolist()
    responses = []
    for k in range(samples):
        tail = random.integers(0, 11, size=random.integers(0, longest - 1)).tolist()
        responses.append([*(common[: k % 3]), *tail, EOS])
    if repeats:
        responses[-1] = list(responses[0])
    rewards: list[float | None] = [float(k % 2) for k in range(samples)]
    behaviour = [(-0.2 - 2.5 * random.random(len(r))).tolist() for r in responses]
    return group_of(f"prompt{seed}", prompt, responses, rewards, behaviour)


def prepared(*groups: Group) -> list[Prepared]:
    found = [prepare(group) for group in groups]
    assert not any(isinstance(item, str) for item in found), found
    return found  # type: ignore[return-value]


# ── autograd's answer, through the training code's batches ─────────────────────────────────


def paper_objective(now: Tensor, behaviour: Tensor, mask: Tensor, rewards: np.ndarray) -> Tensor:
    """J as the paper writes it; now [K, T] with grad."""
    advantages = torch.from_numpy(group_advantages(rewards[None])[0]).to(now)
    terms = torch.exp(now - behaviour) * advantages[:, None] * mask
    return (terms.sum(dim=1) / mask.sum(dim=1)).mean()


Objective = Callable[[Tensor, Tensor, Tensor, np.ndarray], Tensor]


def autograd_gradient(
    policy: Policy,
    group: Group,
    objective: Objective = paper_objective,
    *,
    one_by_one: bool = False,
) -> Tensor:
    """[P] in float64: every trainable parameter's gradient, in order, by plain autograd.

    The K trajectories in one left-padded batch, or each alone without any padding.
    """
    kept = [t for t in group.trajectories if t.reward is not None]
    prompts = [group.prompt_token_ids.tolist()] * len(kept)
    completions = [t.token_ids.tolist() for t in kept]
    longest = max(map(len, completions))
    policy.model.zero_grad(set_to_none=True)
    with torch.enable_grad():
        if one_by_one:
            rows = [
                token_log_probs(
                    policy.model, TokenBatch.of([p], [c], pad_id=PAD),
                    temperature=group.temperature,
                ).values[0]
                for p, c in zip(prompts, completions, strict=True)
            ]
            now = torch.stack([torch.nn.functional.pad(r, (0, longest - len(r))) for r in rows])
        else:
            # A longer foreign prompt makes every row of ours left-padded.
            batch = TokenBatch.of([*prompts, [1] * 9], [*completions, [2]], pad_id=PAD)
            now = token_log_probs(
                policy.model, batch, temperature=group.temperature
            ).values[: len(kept)]
        behaviour = torch.zeros(len(kept), longest, dtype=now.dtype)
        mask = torch.zeros(len(kept), longest, dtype=now.dtype)
        for row, trajectory in enumerate(kept):
            behaviour[row, : len(trajectory.token_ids)] = torch.from_numpy(trajectory.log_probs)
            mask[row, : len(trajectory.token_ids)] = 1.0
        rewards = np.array([t.reward for t in kept])
        value = objective(now, behaviour, mask, rewards)
        parameters = [parameter for _, parameter in policy.trainable()]
        gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    return torch.cat([
        (torch.zeros_like(p) if g is None else g).reshape(-1).double()
        for p, g in zip(parameters, gradients, strict=True)
    ])


# ── the engines' rows ────────────────────────────────────────────────────────────────────────


def whole(policy: Policy) -> Projection:
    """Every coordinate, parameters in the model's order, as in ``autograd_gradient``."""
    return NoProjection().bind(shapes_of(policy), policy.device)


def rows_of(
    engine: Engine,
    policy: Policy,
    groups: Sequence[Prepared],
    projection: Projection | None = None,
    estimator: Estimator | None = None,
) -> Tensor:
    """[N, d] float64: all rows of an engine, in order of the groups."""
    projection = projection or whole(policy)
    rows = torch.zeros(len(groups), projection.dimension, dtype=torch.float64)
    for part in engine.gradients(policy, groups, projection, estimator or Estimator()):
        rows[part.places] = part.rows.double()
    return rows


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@contextmanager
def checkpointing(policy: Policy, *, reentrant: bool) -> Iterator[None]:
    policy.model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    policy.model.enable_input_require_grads()
    policy.model.train()
    try:
        yield
    finally:
        policy.model.gradient_checkpointing_disable()
        policy.model.disable_input_require_grads()
        policy.model.eval()
