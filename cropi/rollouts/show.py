"""``cropi rollouts show RUN --prompt ID``: a prompt's completions and what they were paid."""

from __future__ import annotations

from pathlib import Path

from cropi.rollouts.prompt_table import read_prompt
from cropi.rollouts.store import INDEX, RolloutStore
from cropi.runtime.errors import DataError, did_you_mean
from cropi.types import Group, Prompt


def show(run: Path, prompt: str) -> None:
    """Print the groups whose prompt id starts with ``prompt``. Raises DataError when none does."""
    stores = sorted(path.parent for path in run.glob(f"**/rollouts/**/{INDEX}"))
    if not stores:
        raise DataError(
            f"{run} holds no rollouts: its selector needs none, or it has not drawn them yet"
        )
    ids: list[str] = []
    found = False
    for store in stores:
        for group in RolloutStore.open(store).groups():
            ids.append(group.prompt_id)
            if group.prompt_id.startswith(prompt):
                found = True
                name = store.relative_to(run).as_posix().replace("rollouts/", "", 1)
                print("\n".join(lines(name, group, read_prompt(run, group.prompt_id))))
    if not found:
        raise DataError(
            f"no prompt {prompt!r} in the rollouts of {run}{did_you_mean(prompt, ids)}; "
            f"`cropi selection show {run} --phase 0` lists ids, such as {ids[0]}"
        )


def lines(name: str, group: Group, prompt: Prompt | None) -> list[str]:
    """A group for a reader: the question and its golds, each completion with its verdict."""
    rewards = group.rewards
    scorable = rewards[rewards == rewards]
    mean = f"{scorable.mean():.3f}" if scorable.size else "none"
    out = [
        f"{name} · prompt {group.prompt_id} · {len(group.prompt_token_ids)} prompt tokens · "
        f"{len(group.trajectories)} trajectories · mean reward {mean}"
    ]
    if prompt is not None:
        out += [f"  {line}" for line in prompt.question.splitlines()]
        golds = " | ".join(prompt.golds)
        out.append(f"  gold: {golds}  ({prompt.source} {prompt.family})")
    for number, t in enumerate(group.trajectories):
        reward = "unscorable" if t.reward is None else f"reward {t.reward:g}"
        verdict = ""
        if t.verdict is not None:
            parts = ", ".join(f"{name} {value:g}" for name, value in t.verdict.parts.items())
            verdict = f" ({parts})" if parts else ""
            verdict += f" · {t.verdict.status} by {t.verdict.method} · read {t.verdict.extracted!r}"
        out.append(
            f"  [{number}] {reward}{verdict} · {len(t.token_ids)} tokens, {t.finish} · "
            f"log-prob {t.log_probs.sum():.2f}"
        )
        out += [f"      {line}" for line in t.text.splitlines() or [""]]
    return out


