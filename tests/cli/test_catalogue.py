"""Reading keys and comments from YAML texts."""

from __future__ import annotations

from pathlib import Path

from cropi.catalogue import Key, Option, keys

TEXT = """\
# @package _global_
# What it is.
_target_: module.Class

# Share of the pool.
# In (0, 1].
alpha: 0.1

bare: x
nested:
  # One of many.
  - _target_: module.Child
    # Deep: with a colon.
    path: null
block: |
  # no comment
  no_key: 1
"""


def test_keys_with_the_comment_directly_above() -> None:
    assert [key for key in keys(TEXT) if not key.path.endswith("_target_")] == [
        Key("alpha", "Share of the pool. In (0, 1].", "0.1"),
        Key("bare", "", "x"),
        Key("nested", "", None),
        Key("nested.0.path", "Deep: with a colon.", "null"),
        Key("block", "", "# no comment\nno_key: 1\n"),
    ]
    assert keys("") == []


def test_description_is_the_first_comment_for_people(tmp_path: Path) -> None:
    path = tmp_path / "option.yaml"
    path.write_text(TEXT)
    assert Option("selector", "option", path).description == "What it is."
    path.write_text("_target_: x\n# Too late.\n")
    assert Option("selector", "option", path).description == ""
