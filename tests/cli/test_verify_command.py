"""``cropi verify``: anybody's cases in, one verdict a line out."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cropi.cli import main
from cropi.grading import BATCH, read_cases
from cropi.verifiers.math import MathVerifier

KEYS = ["id", "reward", "status", "method", "extracted", "ms"]


def write(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows]
    path.write_text("".join(lines))
    return path


def case(identity: Any, gold: Any, prediction: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "gold": gold, "prediction": prediction, **more}


def verdicts(
    capsys: pytest.CaptureFixture[str], path: Path | str, *arguments: str
) -> list[dict[str, Any]]:
    assert main(["verify", str(path), *arguments]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    return write(
        tmp_path / "cases.jsonl",
        case("right", "1/2", r"so \boxed{0.5}", source="anything"),
        case(2, ["7", "8"], r"\boxed{8}"),
        "\n",
        case(-1.5, "5", "5"),
        case("", "see figure", r"\boxed{5}"),
    )


def test_verdicts_come_in_order_with_these_keys(
    cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verdicts(capsys, cases)
    assert [list(row) for row in found] == [KEYS] * 4
    assert [[row[key] for key in KEYS[:3]] for row in found] == [
        ["right", 1.0, "ok"], [2, 1.0, "ok"], [-1.5, 0.0, "no_answer"], ["", None, "bad_gold"]
    ]
    assert found[0]["extracted"] == "0.5"
    assert all(row["ms"] >= 0 for row in found)


def test_the_verifier_is_math_unless_another_is_chosen(
    cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    percent = write(cases.with_name("percent.jsonl"), case(1, "35%", r"\boxed{0.35}"))
    assert verdicts(capsys, percent)[0]["reward"] == 0.0
    assert verdicts(capsys, percent, "verifier.percent=hundredth")[0]["reward"] == 1.0
    bare = write(cases.with_name("bare.jsonl"), case(1, "5", "5"), case(2, "5", "45"))
    assert [row["reward"] for row in verdicts(capsys, bare, "verifier=chain")] == [1.0, 1.0]
    # The default benchmark's own verifier is chain.
    assert [r["reward"] for r in verdicts(capsys, bare, "benchmark=arithmetic")] == [1.0, 1.0]
    assert [r["reward"] for r in verdicts(capsys, bare, "benchmark=gsm8k")] == [1.0, 0.0]
    assert [r["reward"] for r in verdicts(capsys, bare)] == [0.0, 0.0]
    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    assert "verifier=math unless" in " ".join(capsys.readouterr().out.split())


def test_parts_are_printed_where_there_are_any(
    cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verdicts(
        capsys, cases, "verifier=composite", "verifier@verifier.parts.correctness=numeric",
        "verifier.parts.format.thinking=none", "verifier.weights.format=0.5",
    )
    assert found[0]["parts"] == {"correctness": 1.0, "format": 1.0}
    assert found[0]["reward"] == 1.5
    assert "parts" not in found[3]


def test_nested_verifiers_are_exchanged_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "c.jsonl", case(1, '["1/2", "0.7"]', "#### 0.7"))
    any_of = ["verifier=any_of", "verifier@verifier.verifier=numeric"]
    assert verdicts(capsys, path, *any_of)[0]["reward"] == 1.0


def test_a_group_of_ones_own_and_a_function_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    Path("own_rewards.py").write_text(
        "def score(prediction, gold, metadata):\n    return metadata['share'] if gold else None\n"
    )
    option = tmp_path / "groups" / "verifier" / "own.yaml"
    option.parent.mkdir(parents=True)
    option.write_text(
        "# My rewards.\ndefaults:\n  - python_function\n  - _self_\nfunction: own_rewards:score\n"
    )
    path = write(
        tmp_path / "c.jsonl",
        case(1, "x", "a", metadata={"share": 0.25}), case(2, [], "a"), case(3, "x", "a"),
    )
    for arguments in (
        ["verifier=own", "--config-dir", "groups"], ["--config-dir", "groups", "verifier=own"]
    ):
        found = verdicts(capsys, path, *arguments)
        assert [(r["reward"], r["status"]) for r in found] == [
            (0.25, "ok"), (None, "bad_gold"), (0.0, "crashed")
        ]


MISTAKES = [
    ("no json", "is not a line of JSON: Expecting value"),
    ('{"id": 1, "gold": "5"', "is not a line of JSON"),
    ('["a"]', "is a list; a case has id, gold and prediction"),
    ("[" * 10**5, "is nested too deeply"),
    ('{"gold": "5", "prediction": "5"}', "has no id; a case has"),
    ('{"id": 1, "prediction": "5"}', "has no gold; a case has"),
    ('{"id": 1, "gold": "5"}', "has no prediction; a case has"),
    ('{"id": 1, "gold": 5, "prediction": "5"}', "gold is the number 5; it must be a text, or a"),
    ('{"id": 1, "gold": ["5", null], "prediction": "5"}', "gold is a list; it must be"),
    ('{"id": 1, "gold": null, "prediction": "5"}', "gold is null; it must be"),
    ('{"id": 1, "gold": "5", "prediction": ["5"]}', "prediction is a list; it must be a text"),
    ('{"id": true, "gold": "5", "prediction": "5"}', "id is true or false; it must be"),
    ('{"id": NaN, "gold": "5", "prediction": "5"}', "NaN is no number"),
    ('{"id": 1e999, "gold": "5", "prediction": "5"}', "id is the number inf"),
    ('{"id": 1, "gold": "5", "prediction": "5", "metadata": 3}', "metadata is the number 3"),
]


@pytest.mark.parametrize(("line", "problem"), MISTAKES)
def test_a_mistake_is_told_with_its_line_before_anything_is_graded(
    line: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "c.jsonl", case(1, "5", "5"), "\n", line + "\n", case(3, "5", "5"))
    assert main(["verify", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {path}, line 3: ")
    assert problem in err


def test_bytes_that_are_no_text_are_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b'{"id": 1, "gold": "\xff", "prediction": "5"}')
    assert main(["verify", str(path)]) == 1
    assert "line 1: is not a line of JSON" in capsys.readouterr().err
    for missing in (tmp_path / "absent.jsonl", tmp_path):
        assert main(["verify", str(missing)]) == 1
        assert f"error: {missing}: cannot be read: " in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "problem"), [
    (["verifier=mth"], 'there is no such verifier (did you mean "math"?)'),
    (["verifier.percent=third"], "verifier.percent='third': input should be"),
    (["verifier=python_function"], "verifier.function: needs a value; add verifier.function="),
    (["verifier=python_function", "verifier.function=absent_module:f"], "no module absent_module"),
    (["~verifier", "verifier=null"], "verifier"),
    (["verifier=composite", "~verifier.parts.format"], "no part of that name"),
])
def test_a_verifier_that_cannot_be_built_is_explained_as_in_runs(
    cases: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], problem: str
) -> None:
    assert main(["verify", str(cases), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert problem in err


def test_mistakes_of_other_groups_do_not_matter(
    cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(verdicts(capsys, cases, "selector.alpha=7", "model.dtype=???", "seed=${sed}")) == 4


def test_hostile_text_comes_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = "\ud800 \x00 \u202e é \u2028 \x85 𝟝"
    path = write(
        tmp_path / "c.jsonl",
        "\ufeff" + json.dumps(case(odd, odd, odd)) + "\n",
        json.dumps(case("é", "é", rf"\boxed{{é{chr(0x2028)}}}"), ensure_ascii=False) + "\n",
        case(3, "5", "x" * 10**6 + r"\boxed{5}"), case(4, "5", "9" * 10**6),
        case(10**30, "5", r"\boxed{5}"),
    )
    arguments = ["verifier=exact"]
    assert main(["verify", str(path), *arguments]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    found = [json.loads(line) for line in out.splitlines()]
    assert [row["id"] for row in found] == [odd, "é", 3, 4, 10**30]
    assert [row["reward"] for row in found] == [1.0, 1.0, 1.0, 0.0, 1.0]


def test_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.dumps(case(i, str(i), rf"\boxed{{{i}}}")) for i in range(3 * BATCH + 1)]
    text = "\n".join([*lines, "no json", lines[0]]).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(text))))
    assert main(["verify", "-"]) == 1
    out, err = capsys.readouterr()
    # A pipe is read once: what came before the mistake is printed, and nothing after it.
    ids = [json.loads(line)["id"] for line in out.splitlines()]
    assert ids == list(range(3 * BATCH + 1))
    assert f"standard input, line {3 * BATCH + 2}: is not a line of JSON" in err


def test_long_lines_and_batches() -> None:
    lines = [json.dumps(case(i, "5", "x" * (3 * 2**20 if i == 1 else 5))) for i in range(2 * BATCH)]
    for ending in ("", "\n"):
        source = io.BufferedReader(io.BytesIO(("\n".join(lines) + ending).encode()))
        batches = list(read_cases(source, "f"))
        assert [c.id for batch in batches for c in batch] == [*range(2 * BATCH)]
        assert max(map(len, batches)) <= BATCH
        assert {len(c.prediction) for batch in batches for c in batch} == {5, 3 * 2**20}


def test_the_workers_are_stopped_however_it_ends(
    cases: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(MathVerifier, "close", lambda self: closed.append(True))
    verdicts(capsys, cases)
    assert main(["verify", str(cases.with_name("absent.jsonl"))]) == 1
    assert closed == [True, True]


def start(*arguments: str) -> subprocess.Popen[bytes]:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        [sys.executable, "-m", "cropi", "verify", *arguments], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered,
    )


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_slow_pipe_is_answered_at_once_and_ctrl_c_leaves_nobody_behind() -> None:
    process = start("-")
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    line = json.dumps(case(1, "x^2+2x+1", r"\boxed{(x+1)^2}")).encode() + b"\n"
    for _ in range(2):
        process.stdin.write(line)
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["reward"] == 1.0
    workers = children_of(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"\nstopped\n")
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", *(case(i, "5", r"\boxed{5}") for i in range(20_000)))
    process = start(str(path))
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["id"] == 0
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 0


def test_torch_is_not_imported(cases: Path) -> None:
    code = (
        "import sys; from cropi.cli import main; main(['verify', sys.argv[1]]); "
        "print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(cases)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert done.stdout.splitlines()[-1] == "[]"
