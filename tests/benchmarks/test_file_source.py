"""Local files: formats, field mapping, and errors that name file, line and fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropi.benchmarks.files import File
from cropi.contracts import Dropped, Source
from cropi.runtime.errors import ConfigError, DataError
from cropi.runtime.parts import build
from cropi.types import Prompt

ROWS = [{"question": "2 + 2?", "answer": "4"}, {"question": "3 + 3?", "answer": "6"}]


def prompts(**options: Any) -> list[tuple[str, tuple[str, ...]]]:
    items = list(File(**options).read())
    return [(item.question, item.golds) for item in items if isinstance(item, Prompt)]


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_four_formats_read_alike(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    paths = [
        write(tmp_path / "a.jsonl", "\ufeff" + "\n\n".join(map(json.dumps, ROWS))),
        write(tmp_path / "a.json", json.dumps(ROWS)),
        write(tmp_path / "a.csv", "question,answer\n2 + 2?,4\n3 + 3?,6\n"),
        str(tmp_path / "a.parquet"),
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), paths[3])
    expected = [("2 + 2?", ("4",)), ("3 + 3?", ("6",))]
    assert [prompts(path=path) for path in paths] == [expected] * 4
    assert prompts(path=paths) == expected * 4


def test_numbers_go_through_no_float(tmp_path: Path) -> None:
    # Through float the last two would be 27.5 and a refusal to convert so long a text.
    digits = "1" * 5000
    path = write(
        tmp_path / "n.jsonl",
        "\n".join(f'{{"question": "q{i}", "answer": {a}}}' for i, a in
                  enumerate(["27.0", "1e5", "27.50", digits])),
    )
    assert [golds for _, golds in prompts(path=path)] == [
        ("27",), ("1e5",), ("27.50",), (digits,)
    ]
    as_written, *_ = prompts(path=path, normalise_golds=False)
    assert as_written[1] == ("27.0",)


def test_template_nested_field_and_family(tmp_path: Path) -> None:
    row = {
        "Body": " Two birds.", "Question": "How many {legs}?", "Type": "Count",
        "reward": {"gold": [4]},
    }
    path = write(tmp_path / "t.jsonl", json.dumps(row))
    source = File(
        path=path, question="{Body} {Question}", answer="reward.gold", gold="any_of", family="Type"
    )
    (prompt,) = source.read()
    assert isinstance(prompt, Prompt)
    # The braces that a value brings are text, not slots.
    assert prompt.question == "Two birds. How many {legs}?"
    assert (prompt.golds, prompt.family) == (("4",), "Count")
    assert prompt.source == source.name == f"{tmp_path.name}/t"


def test_a_row_without_question_or_gold_is_dropped_not_lost(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", "question,answer\n,4\n3 + 3?,\n")
    empty_question, empty_gold = File(path=path).read()
    # Where it stood, without the folders of this machine: the report's hash must not know them.
    assert empty_question == Dropped("empty question", f"{tmp_path.name}/d.csv, line 2")
    assert isinstance(empty_gold, Dropped)
    assert empty_gold.reason == "empty gold"
    assert empty_gold.row.startswith(f"{tmp_path.name}/d.csv, line 3")


def test_a_missing_field_names_line_fields_and_option(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", json.dumps(ROWS[0]) + '\n{"questoin": "?", "answer": "1"}')
    with pytest.raises(DataError) as error:
        prompts(path=path)
    message = str(error.value)
    assert f"{path}, line 2" in message
    assert "no field 'question' (did you mean \"questoin\"?)" in message
    assert "questoin, answer" in message
    assert "question=" in message


def test_a_list_where_a_text_is_expected_says_what_to_set(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", '{"question": "?", "answer": ["1", "2"]}')
    with pytest.raises(DataError, match=r"line 1.*gold=list.*gold=any_of"):
        prompts(path=path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("b.jsonl", '{"question": "?", "answer": "1"}\n{"question": ', r"b\.jsonl, line 2: is not"),
        ("b.jsonl", "[1, 2]", r"b\.jsonl, line 1: should be an object"),
        ("b.jsonl", "[" * 100_000, r"b\.jsonl, line 1: is not JSON"),
        ("b.json", '{"question": "?"}', "must hold a JSON list"),
        ("b.json", "[1]", r"b\.json, row 1: should be an object"),
        ("b.csv", "question,answer\n1,2,3\n", r"b\.csv, line 2: has more fields"),
        ("b.csv", 'question,answer\n"open,2', r"b\.csv, line 2: is not CSV"),
        ("b.parquet", "question", r"b\.parquet: is not Parquet"),
        ("b.txt", "question", r"b\.txt: the extension must be one of \.jsonl"),
    ],
)
def test_broken_files_are_named_with_their_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        prompts(path=write(tmp_path / name, text))


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"question": "é"}'.encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.jsonl: is not UTF-8"):
        prompts(path=str(path))


def test_a_missing_file_lists_the_path_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "train.jsonl", "")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as error:
        prompts(path="trian.jsonl")
    assert str(tmp_path / "trian.jsonl") in str(error.value)
    assert 'did you mean "train.jsonl"?' in str(error.value)


def test_relative_paths_are_fixed_when_the_part_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # hydra_ux.md, row 19: a folder changed later must not move the data.
    write(tmp_path / "a.jsonl", json.dumps(ROWS[0]))
    monkeypatch.chdir(tmp_path)
    source = File(path="a.jsonl")
    monkeypatch.chdir("/")
    assert len(list(source.read())) == 1


def test_no_file_at_all_is_a_configuration_mistake() -> None:
    node = {"_target_": "cropi.benchmarks.files.File", "path": []}
    with pytest.raises(ConfigError, match=r"source\.path"):
        build(node, Source, "source")
