"""The table of known bugs in docs/influence.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\d+) \|.*\| `(tests/\S+\.py)::(test_\w+)` \|$", re.MULTILINE)


def test_every_trap_is_guarded_by_a_test_that_exists() -> None:
    rows = ROW.findall((ROOT / "docs" / "influence.md").read_text(encoding="utf-8"))
    assert [int(number) for number, _, _ in rows] == list(range(1, 30))
    for _, file, name in rows:
        module = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        names = {item.name for item in module.body if isinstance(item, ast.FunctionDef)}
        assert name in names, f"{file} has no {name}"
