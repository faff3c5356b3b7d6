"""Gradients are of the token ids and the probabilities that were stored, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from influence_cases import EOS, VOCABULARY, group_of, policy_of, prepared, rows_of, whole
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from cropi.contracts import Request, Sampling
from cropi.influence.engine import Engine
from cropi.influence.estimator import Estimator
from cropi.influence.fast import Fast
from cropi.influence.reference import Reference
from cropi.policies.policy import Policy
from cropi.policies.template import PromptTemplate
from cropi.rollouts.transformers_generator import Transformers
from cropi.types import Group, Prompt, Verdict

BOS = 0
ENGINES = [Fast(prefix="shared"), Reference(prefix="repeated")]


def speaking(policy: Policy, *, chat: bool) -> Policy:
    """With a tokenizer that begins with BOS, as its chat template does too."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"<s>": BOS, **{str(i): i for i in range(1, VOCABULARY - 1)}, "</s>": EOS}
    made = Tokenizer(models.WordLevel(words, unk_token="1"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", BOS)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>",
        chat_template="{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}",
    )  # fmt: skip
    return replace(policy, tokenizer=tokenizer, template=PromptTemplate(chat=chat))


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("engine", ENGINES, ids=["fast", "reference"])
def test_the_policy_sees_the_stored_ids_with_one_bos(engine: Engine, chat: bool) -> None:
    """Influence trap 13 (bergson#319): text encoded once more begins with BOS twice."""
    policy = speaking(policy_of("llama"), chat=chat)
    prompt = Prompt("p", "4 5 6", ("7",), "hand")
    ids = policy.encode(prompt)
    assert ids == (BOS, 4, 5, 6)
    again = policy.tokenizer(policy.tokenizer.decode(ids))["input_ids"]
    assert again == [BOS, *ids]
    group = group_of("p", ids, [[7, EOS], [8]], [1.0, 0.0], [[-1.0, -1.0], [-2.0]])
    misleading = replace(group, trajectories=tuple(
        replace(t, text="<s> 9 9 9") for t in group.trajectories
    ))  # fmt: skip
    seen: list[Tensor] = []

    def hear(module: Any, arguments: Any) -> None:
        seen.append(arguments[0])

    policy.model.get_input_embeddings().register_forward_pre_hook(hear)
    rows = rows_of(engine, policy, prepared(misleading))
    for row in torch.cat(seen):
        assert row[:4].tolist() == list(ids)
        assert (row == BOS).sum() == 1
    assert torch.equal(rows, rows_of(engine, policy, prepared(group)))


def drawn(policy: Policy, sampling: Sampling) -> Group:
    asked = [Request("p", (1, 2, 3), seed) for seed in range(6)]
    trajectories = tuple(
        replace(t, verdict=Verdict(float(k % 2), "ok", "hand"))
        for k, t in enumerate(Transformers().generate(policy, asked, sampling))
    )
    return Group("p", np.array([1, 2, 3], np.int32), trajectories, sampling.temperature)


@pytest.mark.parametrize("engine", ENGINES, ids=["fast", "reference"])
def test_truncated_sampling_stores_probabilities_of_the_full_distribution(engine: Engine) -> None:
    """Influence trap 24 (trl#6789): renormalised over what top-p left, ratios are too small."""
    policy = speaking(policy_of("llama"), chat=False)
    group = drawn(policy, Sampling(temperature=0.6, top_k=3, top_p=0.8, max_new_tokens=4))
    (part,) = engine.gradients(policy, prepared(group), whole(policy), Estimator())
    assert part.columns["log_ratio"][0] < 1e-5
    assert part.columns["ess"][0] == pytest.approx(6.0, abs=1e-4)
    renormalised = replace(group, trajectories=tuple(
        replace(t, log_probs=t.log_probs - np.float32(np.log(0.8))) for t in group.trajectories
    ))  # fmt: skip
    (part,) = engine.gradients(policy, prepared(renormalised), whole(policy), Estimator())
    assert part.columns["log_ratio"][0] == pytest.approx(-np.log(0.8), abs=1e-5)
