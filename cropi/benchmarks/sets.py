"""The sets of a benchmark by name, and a hash that tells two sets apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace

from cropi.contracts import Prompts
from cropi.types import Prompt


def sets_of(prompts: Prompts) -> dict[str, tuple[Prompt, ...]]:
    """All sets by name: ``train``, ``validation/…``, ``test/…``."""
    return {
        "train": prompts.pool,
        **{f"validation/{name}": chosen for name, chosen in prompts.validation.items()},
        **{f"test/{name}": test.prompts for name, test in prompts.tests.items()},
    }


def each_set(
    prompts: Prompts, change: Callable[[str, tuple[Prompt, ...]], tuple[Prompt, ...]]
) -> Prompts:
    """The same benchmark with every set, in the order of ``sets_of``, replaced."""
    new = {name: change(name, chosen) for name, chosen in sets_of(prompts).items()}
    return replace(
        prompts,
        pool=new["train"],
        validation={name: new[f"validation/{name}"] for name in prompts.validation},
        tests={
            name: replace(test, prompts=new[f"test/{name}"]) for name, test in prompts.tests.items()
        },
    )


def digest_of(prompts: Iterable[Prompt]) -> str:
    """A hash of the prompts' ids, in order (16 hexadecimal digits)."""
    return hashlib.sha256("\n".join(p.id for p in prompts).encode()).hexdigest()[:16]
