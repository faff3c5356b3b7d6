"""Files of a user's own options that cannot be read: which, where in it, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cropi.option_files import check, check_own
from cropi.runtime.errors import ConfigError


@pytest.mark.parametrize(("text", "problem"), [
    ("a: [1,\n", ", line 2, column 1: cannot be read as YAML: expected the node content, "
                 "but found '<stream end>' (while parsing a flow node)"),
    ("a:\n\tb: 1\n", ", line 2, column 1: cannot be read as YAML: found character '\\t' that "
                     "cannot start any token (while scanning for the next token)"),
    ("a: 1\nb: 2\na: 3\n", ", line 3, column 1: cannot be read as YAML: found duplicate key a "
                           "(while constructing a mapping that begins in line 1)"),
    ("a: b: c\n", ", line 1, column 5: cannot be read as YAML: "
                  "mapping values are not allowed here"),
    ("a: \0\n", ", character 4: cannot be read as YAML: found U+0000, but special characters "
                "are not allowed"),
    ("a: !!python/object:os.system {}\n",
     ", line 1, column 4: cannot be read as YAML: could not determine a constructor for the tag "
     "'tag:yaml.org,2002:python/object:os.system'"),
    ("a:\n  b: ${c\n", ", key a.b: cannot be read as an interpolation, ${key} or ${name:value}: "
                       "no viable alternative at input '${c'"),
    ("- a\n", ": an option's file holds keys and values, as key: value"),
    ("3\n", ": cannot be read: Invalid loaded object type: int"),
])  # fmt: skip
def test_one_sentence_says_where_and_what(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        check(path)
    assert caught.value.problems == [f"{path}{problem}"]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"a: 1\nb: \xe9t\xe9\n")
    with pytest.raises(ConfigError) as caught:
        check(path)
    assert caught.value.problems == [
        f"{path}, byte 9: is not UTF-8 text: invalid continuation byte"
    ]


@pytest.mark.parametrize("text", ["", "# Nothing but this.\n", "a: ${b}\nb: [1, {c: 2}]\n"])
def test_what_can_be_read_passes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    check(path)


def test_all_files_are_told_together_and_the_cause_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "selector"
    folder.mkdir()
    for name, text in {"full": "a: 1\n", "fine": "a: 1\n", "one": "a: [\n", "two": "- 1\n"}.items():
        (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        check_own(tmp_path)
    assert [p.partition(".yaml")[0] for p in caught.value.problems] == [
        str(folder / name) for name in ("full", "one", "two")
    ]
    assert "selector=full is an option of cropi" in caught.value.problems[0]
    assert caught.value.__cause__ is not None
    assert isinstance(caught.value.__cause__.__cause__, yaml.YAMLError)
