"""docs/reference.yaml is what ``cropi config`` prints."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cropi import catalogue
from cropi.cli import main
from cropi.reference import reference

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "reference.yaml"


def test_committed_reference_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == reference(), (
        "a default, comment or option changed: cropi config > docs/reference.yaml"
    )


def test_reference_is_yaml_that_holds_every_option_whole() -> None:
    values = yaml.safe_load(reference())
    root = yaml.safe_load(catalogue.root_text())
    assert {key: values[key] for key in root} == root
    for group, options in catalogue.options().items():
        assert {*values[group]} == {*options}
        for option in options.values():
            assert values[group][option.name] == yaml.safe_load(option.text)


def test_reference_keeps_comments() -> None:
    assert "# Root of every random stream. Integer >= 0." in reference()
    assert all(
        option.description in reference()
        for options in catalogue.options().values() for option in options.values()
    )  # fmt: skip


def test_one_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "trainer"]) == 0
    assert list(yaml.safe_load(capsys.readouterr().out)) == ["trainer"]
