"""Imports run one way: ground floor < contracts < policies < parts < experiment < command line.

Lazy imports inside functions count; imports for type checkers only do not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

GROUND = ["types", "runtime", "advantages", "verdicts", "boxed", "arithmetic", "console"]
PARTS = ["benchmarks", "verifiers", "rollouts", "selectors", "influence", "projectors", "trainers",
         "evaluation", "tracking"]
EXPERIMENT = ["progress", "journal", "checkpoint", "preparation", "supply", "experiment"]
COMMANDS = ["launch", "job", "rerun", "completion", "help", "reference", "doctor",
            "data_check", "grading", "commands"]
FLOORS = [
    GROUND,
    ["contracts"],
    ["settings", "policies"],
    [*PARTS, "baselines"],
    ["reports", "studies"],  # they read the files that parts wrote, never a running experiment
    EXPERIMENT,
    ["catalogue", "configuration", "option_files"],
    ["run", "overrides", "composition"],
    ["outcome", "sweeping"],
    COMMANDS,
    ["cli", "__main__"],
]  # fmt: skip
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# Rooms of one floor that may lean on each other. Parts may not, but for these: a baseline is a
# selector that lives outside.
TOGETHER = [
    set(rooms) for rooms in [
        GROUND, ["selectors", "influence", "projectors", "baselines"], *FLOORS[4:],
    ]
]  # fmt: skip


def modules() -> list[Path]:
    return sorted([*(ROOT / "cropi").rglob("*.py"), *(ROOT / "baselines").rglob("*.py")])


def room_of(module: str) -> str | None:
    """``selectors`` of cropi.selectors.ranking; ``baselines`` of baselines.full."""
    parts = module.split(".")
    room = parts[0] if parts[0] == "baselines" else parts[1]
    return room if room in FLOOR else None


def imported(node: ast.AST) -> Iterator[str]:
    """Names imported anywhere but under ``if TYPE_CHECKING``."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for other in node.orelse:
            yield from imported(other)
    else:
        for child in ast.iter_child_nodes(node):
            yield from imported(child)


def arrows(path: Path) -> Iterator[tuple[str, str]]:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for target in imported(ast.parse(path.read_text(encoding="utf-8"))):
        if target.split(".")[0] in ("cropi", "baselines"):
            yield name, target


def allowed(source: str, target: str) -> bool:
    here, there = room_of(source), room_of(target)
    if target in ("cropi.__version__", "cropi.conf"):
        return True
    assert here is not None, f"{source} has no floor in this test; give it one"
    assert there is not None, f"{target} has no floor in this test; give it one"
    if here == there or any({here, there} <= rooms for rooms in TOGETHER):
        return True
    return FLOOR[there] < FLOOR[here]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards(path: Path) -> None:
    if path == ROOT / "cropi" / "__init__.py":
        assert list(arrows(path)) == []
        return
    wrong = [f"{a} -> {b}" for a, b in arrows(path) if not allowed(a, b)]
    assert not wrong, wrong


def test_the_rule_itself() -> None:
    assert allowed("cropi.trainers.grpo", "cropi.policies.logprobs.token_log_probs")
    assert not allowed("cropi.runtime.parts", "cropi.contracts.Part")
    assert not allowed("cropi.trainers.grpo", "cropi.rollouts.store.RolloutStore")
    assert not allowed("cropi.evaluation.evaluation", "cropi.experiment.Experiment")
    assert not allowed("cropi.experiment", "cropi.launch.launch")
    source = "if TYPE_CHECKING:\n import a\nelse:\n import b\ndef f():\n from c import d\n"
    assert list(imported(ast.parse(source))) == ["b", "c.d"]
