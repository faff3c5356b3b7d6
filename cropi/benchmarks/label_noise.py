"""Wrong labels on purpose: a seeded share of the training golds, for ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cropi.benchmarks.sets import digest_of
from cropi.contracts import Prompts, Verifier
from cropi.runtime.errors import ConfigError
from cropi.runtime.seeds import stream
from cropi.types import Prompt, Verdict

TRIES = 30  # other golds to draw before concluding that the verifier tells none apart
Golds = tuple[str, ...]


def with_label_noise(
    prompts: Prompts, share: float, seed: int, verifier: Verifier
) -> Prompts:
    """Exactly round(share · N) training prompts get the golds of another training prompt.

    Which ones is drawn over the sorted ids, so a larger share holds all that a smaller one does,
    and each prompt's new golds are its own draw. The verifier accepts neither the old golds for
    the new nor the new for the old. Metadata holds ``label_noise`` and ``true_golds``; the id is
    that of the new content. Raises ConfigError when the verifier does not tell golds apart.
    """
    if share == 0.0:
        return prompts
    goldless = [prompt for prompt in prompts.pool if not prompt.golds]
    if goldless:
        raise ConfigError([
            f"label_noise: {len(goldless)} training prompts, such as {goldless[0].id} "
            f"({goldless[0].source}), have no gold to replace; set label_noise=0"
        ])
    count = round(share * len(prompts.pool))
    order = stream(seed, "label noise").permutation(len(prompts.pool))[:count]
    by_id = sorted(prompts.pool, key=lambda prompt: prompt.id)
    chosen = [by_id[index] for index in sorted(order)]
    noisy: dict[str, Prompt] = {}
    # One alone first: a verifier that looks at no gold is found out before all are asked.
    for some in (chosen[:1], chosen[1:]):
        noisy |= _relabelled(some, by_id, seed, verifier)
    record = {
        "share": share,
        "seed": seed,
        "prompts": count,
        "of": len(prompts.pool),
        "ids": digest_of(noisy[prompt.id] for prompt in chosen),
        "true_ids": digest_of(chosen),
    }
    return replace(
        prompts,
        pool=tuple(noisy.get(prompt.id, prompt) for prompt in prompts.pool),
        report=replace(prompts.report, label_noise=record),
    )


@dataclass
class _Draws:
    """A prompt's own sequence of golds that other prompts have."""

    prompt: Prompt
    random: np.random.Generator

    def next(self, pool: Sequence[Prompt]) -> Golds:
        while True:
            golds = pool[int(self.random.integers(len(pool)))].golds
            if golds != self.prompt.golds:
                return golds


def _relabelled(
    chosen: Sequence[Prompt], pool: Sequence[Prompt], seed: int, verifier: Verifier
) -> Mapping[str, Prompt]:
    """Prompt id -> the prompt with wrong golds. All that are open are asked together."""
    if chosen and len({prompt.golds for prompt in pool}) < 2:
        raise ConfigError(["label_noise: all training golds are the same; set label_noise=0"])
    draws = [_Draws(p, stream(seed, "label noise gold", p.id)) for p in chosen]
    done: dict[str, Prompt] = {}
    for _ in range(TRIES):
        pairs = [
            (draw.prompt, _mislabelled(draw.prompt, draw.next(pool)))
            for draw in draws if draw.prompt.id not in done
        ]  # fmt: skip
        apart = _told_apart(pairs, verifier)
        done |= {true.id: wrong for (true, wrong), ok in zip(pairs, apart, strict=True) if ok}
        if len(done) == len(chosen):
            return done
    prompt = next(prompt for prompt in chosen if prompt.id not in done)
    raise ConfigError([
        f"label_noise: {type(verifier).__name__} does not tell the answer of prompt {prompt.id} "
        f"({prompt.source}) from {TRIES} other golds; choose a verifier that compares answers "
        f"with golds (math, numeric, exact), or set label_noise=0"
    ])


def _mislabelled(prompt: Prompt, golds: Golds) -> Prompt:
    noted = {**prompt.metadata, "label_noise": True, "true_golds": list(prompt.golds)}
    return Prompt.create(
        prompt.question, golds, source=prompt.source, family=prompt.family, metadata=noted
    )


def _told_apart(pairs: Sequence[tuple[Prompt, Prompt]], verifier: Verifier) -> list[bool]:
    """Whether each pair's golds are wrong for each other, both ways round."""
    asked = [
        (number, gold, judged)
        for number, (true, wrong) in enumerate(pairs)
        for answered, judged in ((true, wrong), (wrong, true))
        for gold in answered.golds
    ]
    verdicts = verifier.verify_all(
        [(verifier.completion_of(gold), judged) for _, gold, judged in asked]
    )
    alike = {n for (n, _, _), v in zip(asked, verdicts, strict=True) if not _is_wrong(v)}
    return [number not in alike for number in range(len(pairs))]


def _is_wrong(verdict: Verdict) -> bool:
    return verdict.correctness is not None and verdict.correctness != 1.0

