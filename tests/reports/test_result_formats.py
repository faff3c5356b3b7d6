"""The table of results in every format: as it was looked at, and as others read it."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from run_folders import add_outcomes, write_run

from cropi.reports.results import main
from cropi.reports.texts import escaped


def grid(folder: Path) -> None:
    """Three methods, four seeds; one run of random was killed, one is planned and not begun."""
    known = {"full": 100, "cropi": 140, "random": 96}
    for method, right in known.items():
        for seed in range(4):
            run = write_run(
                folder / f"{method}{seed}", [0.1, (right - 20 + seed) / 200, (right + seed) / 200],
                method=method, seed=seed, finished=(method, seed) != ("random", 3),
            )  # fmt: skip
            items = [[float(n < right + seed)] for n in range(200)]
            add_outcomes(run, {"A_1": items, "B": items}, step=20)
    (run / "failure.json").write_text(json.dumps({"error": "killed by SIGKILL"}))
    plan = folder / "sweeps" / "methods-1"
    plan.mkdir(parents=True)
    (plan / "plan.json").write_text(json.dumps({"jobs": [
        {"file": "0000.json", "run": str(folder / "full0")},
        {"file": "0001.json", "run": str(folder / "full9")},
    ]}))
    (plan / "0001.json").write_text(json.dumps({
        "config": {"seed": 9, "runs": str(folder)}, "choices": {"selector": "full"}
    }))


GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("form", "name"),
    [("table", "table.txt"), ("markdown", "table.md"), ("latex", "table.tex"),
     ("csv", "table.csv"), ("json", "table.json")],
)  # fmt: skip
def test_every_format_is_as_it_was_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: Any, name: str
) -> None:
    """After a change that is wanted: delete the file, run the test twice, look at the file."""
    grid(tmp_path)
    main([tmp_path], form=form)
    text = capsys.readouterr().out.replace(str(tmp_path), "RUNS")
    assert "\x1b" not in text
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    if not (GOLDEN / name).exists():
        (GOLDEN / name).write_text(text, encoding="utf-8")
        pytest.fail(f"{name} was not there and has been written: look at it")
    assert rounded(text) == rounded((GOLDEN / name).read_text(encoding="utf-8"))


def rounded(text: str) -> str:
    """Raw numbers to nine digits: the last ones depend on the machine."""
    return re.sub(r"-?\d+\.\d{4,}(e-?\d+)?", lambda m: f"{float(m[0]):.9g}", text)


def test_latex_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i, name in enumerate(("50% of $x_1$ & #2", "{a}~b^c\\d", "[e] <f> |g|")):
        write_run(tmp_path / str(i), [0.1, 0.5], selector={"_target_": "x", "m": name})
    main([tmp_path], form="latex")
    text = capsys.readouterr().out
    for expected in (
        r"50\% of \$x\_1\$ \& \#2", r"\{a\}\textasciitilde{}b\textasciicircum{}c\textbackslash{}d",
        r"{[}e{]} $<$f$>$ $|$g$|$",
    ):  # fmt: skip
        assert expected in text
    body = text[text.index(r"\midrule") + 9 : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line and not line.startswith(r"\addl")]
    for line in lines:
        assert line.endswith(r" \\")
        assert not line.startswith("[")  # would be an option of the line break before it
        plain = re.sub(r"\\[&%$#_{}]", "", line[:-3])
        assert plain.count("&") == 5
        assert plain.count("$") % 2 == 0
        assert plain.count("{") == plain.count("}")
        assert not re.search(r"[%#_~^]", re.sub(r"\\text\w+|\\pm|\\times", "", plain))
    after = text[text.index(r"\end{tabular}") :].splitlines()[1:]
    assert after
    assert all(line.startswith("% ") for line in after)


@pytest.mark.parametrize(("text", "shown"), [
    ("a--b---c", "a-{}-b-{}-{}-c"),
    ("e\u0301 č ő ß “q” — α ∞", "é č ő ß “q” — $\\alpha$ $\\infty$"),
    ("数 π ą →", "U+6570 U+03C0 U+0105 U+2192"),
    ("bell\x07 soft\u00adhyphen\u200b", "bell softhyphen"),
    ("two\nlines\tone", "two lines one"),
])  # fmt: skip
def test_what_latex_cannot_show_is_named(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs TeX Live: apt-get install "
                    "texlive-latex-base texlive-latex-extra")  # fmt: skip
def test_latex_compiles(tmp_path: Path) -> None:
    grid(tmp_path / "grid")
    latin = "".join(map(chr, range(0x21, 0x180)))
    for i in range(0, len(latin), 8):
        write_run(tmp_path / "signs" / str(i), [0.1, 0.5], a={"m": latin[i : i + 8]})
    failed = write_run(tmp_path / "signs" / "failed", [0.1], finished=False, a={"m": "1" * 9})
    (failed / "failure.json").write_text(json.dumps({"error": "$ 数 \\boom {x & " + "long " * 99}))
    body = []
    for name in ("grid", "signs"):
        main([tmp_path / name], form="latex", out=tmp_path / f"{name}.tex")
        body.append(rf"\resizebox{{!}}{{0.9\textheight}}{{\input{{{name}}}}}\newpage")
    (tmp_path / "all.tex").write_text("\n".join([
        r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}",
        *body, r"\end{document}",
    ]))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "all.log").read_text(errors="replace")


def test_a_long_error_is_cut_and_wrapped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "a", [0.2], finished=False)
    (run / "failure.json").write_text(json.dumps({"error": "word " * 200}))
    main([tmp_path])
    assert len(capsys.readouterr().out.splitlines()) < 20
    main([tmp_path], form="latex")
    assert max(map(len, capsys.readouterr().out.splitlines()[:-3])) < 100
    main([tmp_path], form="json")
    assert "word " * 200 in capsys.readouterr().out


def test_csv_is_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid(tmp_path / "with space")
    main([tmp_path], form="csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    cropi = next(row for row in rows if row["method"] == "cropi")
    assert float(cropi["value.mean"]) == pytest.approx(0.7075)
    assert (cropi["value.n"], cropi["seeds"]) == ("4", "0; 1; 2; 3")
    folders = cropi["runs"].split("; ")
    assert [shlex.split(each) for each in cropi["commands"].split("; ")] == [
        ["cropi", "rerun", folder] for folder in folders
    ]
    failed = next(row for row in rows if row["state"].startswith("failed"))
    assert failed["value.mean"] == ""


def test_jobs_that_nobody_began_are_named_and_filtered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid(tmp_path)
    main([tmp_path])
    assert "Planned and not begun, in no number: 1 (full9)." in capsys.readouterr().out
    main([tmp_path], where=["selector=cropi"])
    assert "not begun" not in capsys.readouterr().out
