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

from cropi.reports.acceleration import Acceleration
from cropi.reports.details import compact
from cropi.reports.formats import factor
from cropi.reports.results import main
from cropi.reports.runs import find_runs
from cropi.reports.texts import escaped
from cropi.runtime.errors import CropiError, DataError


def printed(capsys: pytest.CaptureFixture[str], *paths: Path) -> str:
    main(paths, details=True)
    return capsys.readouterr().out


def rows(text: str) -> list[str]:
    """Blocks of the table between blank lines, spaces made single."""
    return [re.sub(r" +", " ", block) for block in re.split(r"\n\s*\n", text)]


def test_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", [0.2, 0.9, 0.8], untargeted=[0.1, 0.3, 0.25])
    (row,) = [block for block in rows(printed(capsys, tmp_path)) if "cropi" in block]
    for cell in (
        "start 20.0", "end 80.0", "best 90.0", "start 10.0", "end 25.0", "best 30.0",
        "seed 0", "20",
        # level 76: on the line from 20 at step 0 to 90 at step 10
        "step 8", "to 76.0",
        "rollouts 100", "selection 30.0", "training 40.0", "total 170", "evaluation 15.0",
        "generated 70.0k", "backward 10.0k",
    ):
        assert re.search(rf"(^|\s){re.escape(cell)}(\s|$)", row), cell
    assert "±" not in row
    assert "forward" not in row  # nothing of that kind was spent


def test_seeds_are_one_row_with_n_and_sample_deviation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, end in enumerate((0.5, 0.6, 0.7)):
        write_run(tmp_path / str(seed), [0.2, end], seed=seed, selection_seconds=30.0 + seed)
    text = printed(capsys, tmp_path)
    assert "n=3, seeds 0, 1, 2" in text
    (row,) = [block for block in rows(text) if "cropi" in block]
    assert "end 60.0 ± 10.0" in row
    assert "start 20.0 ± 0.0" in row
    assert "selection 31.0" in row


def test_not_reached_is_a_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", [0.2, 0.8])
    write_run(tmp_path / "b", [0.2, 0.4], method="random")
    random = next(block for block in rows(printed(capsys, tmp_path)) if "random" in block)
    assert "not reached" in random
    assert "to 76.0" in random


def test_an_unfinished_run_is_marked_and_sets_no_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", [0.2, 0.4])
    write_run(tmp_path / "b", [0.2, 0.9], seed=1, finished=False)
    blocks = rows(printed(capsys, tmp_path))
    (marked,) = [block for block in blocks if "unfinished" in block]
    assert "seed 1" in marked
    assert "to 38.0" in marked
    assert "n=" not in "".join(blocks[:2])


def test_runs_without_evaluations_have_dashes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", [], finished=False)
    assert re.search(r"cropi +0 +- +- +-", printed(capsys, tmp_path))


def test_without_a_terminal_there_are_no_escapes_and_no_broken_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        write_run(tmp_path / str(seed), [0.2, 0.5 + seed / 100], seed=seed,
                  untargeted=[0.1, 0.2 + seed / 10])
    text = printed(capsys, tmp_path)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 120
    assert "…" not in text


def test_markup_in_a_config_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(2):
        write_run(tmp_path / str(i), [0.1], selector={"_target_": "x", "m": f"[red]{i}"})
    assert "[red]0" in printed(capsys, tmp_path)


def test_a_plot_is_drawn_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", [0.2, 0.8])
    main([tmp_path], plot=tmp_path / "figures" / "curves.png")
    assert (tmp_path / "figures" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "curves.png" in capsys.readouterr().out


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(CropiError, match="no runs"):
        main([tmp_path])


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "0"), (0.1234, "0.12"), (7.25, "7.25"), (31.0, "31.0"), (831.4, "831"),
     (9999, "9999"), (12_400, "12.4k"), (3_100_000, "3.10M"), (250e6, "250M"), (1.5e9, "1.50G")],
)
def test_compact_numbers(amount: float, shown: str) -> None:
    assert compact(amount) == shown


def two_arms(folder: Path) -> None:
    """Outcomes of four items and three seeds; cropi is right where full is not."""
    for method, right in (("full", [1, 0, 0, 0]), ("cropi", [1, 1, 1, 0])):
        for seed in range(3):
            run = write_run(
                folder / f"{method}{seed}", [0.2, sum(right) / 4 + seed / 100, sum(right) / 4],
                method=method, seed=seed,
            )  # fmt: skip
            add_outcomes(run, {"A": [[float(r)] for r in right]}, step=20)


def test_a_comparison_in_raw_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_arms(tmp_path)
    main([tmp_path], form="json")
    found = json.loads(capsys.readouterr().out)
    assert found["baseline"] == "full"
    cropi, full = found["rows"]
    assert cropi["value"] == {
        "mean": 0.75, "n": 3, "deviation": 0.0, "low": 0.75, "high": 0.75
    }
    assert full["versus"] is None
    versus = cropi["versus"]
    assert (versus["mean"], versus["seeds"], versus["items"]) == (0.5, 3, 4)
    # items 0, 1, 1, 0 a seed: the error over items is sqrt(1/3)/2 of 3 degrees, the seeds agree
    assert versus["high"] - versus["mean"] == pytest.approx(3.1824 * (1 / 3) ** 0.5 / 2, rel=1e-4)
    assert cropi["sooner"]["steps"]["bound"] == "exact"
    assert cropi["sooner"].keys() == {"steps", "seconds", "generated_tokens", "compute_tokens"}
    assert full["reached"]["steps"]["last"] == 20.0
    assert cropi["runs"] == [str(tmp_path / f"cropi{seed}") for seed in range(3)]
    assert cropi["commands"][0] == f"cropi rerun {tmp_path}/cropi0"
    assert not cropi["best"]  # three seeds and four items prove nothing


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


def test_a_table_reads_no_training_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for method in ("full", "cropi"):
        run = write_run(tmp_path / method, [0.2, 0.5], method=method)
        with (run / "metrics.jsonl").open("a") as file:
            file.write('{"step": 9, "phase": 0, "kind": "train", "metrics": broken}\n')
    main([tmp_path])
    assert "50.0" in capsys.readouterr().out
    (run,) = find_runs([tmp_path / "cropi"])
    with pytest.raises(DataError, match=r"metrics.jsonl, line 6"):
        assert run.records


def test_one_seed_has_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", [0.2, 0.5])
    main([tmp_path])
    row = capsys.readouterr().out.split("n=1")[0]
    assert "50.0" in row
    assert "±" not in row
    assert "[" not in row


def test_a_plot_is_drawn_beside_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", [0.2, 0.5])
    main([tmp_path], plot=tmp_path / "c.png", form="json")
    assert (tmp_path / "c.png").exists()
    assert json.loads(capsys.readouterr().out)["rows"]
    main([tmp_path], out=tmp_path / "t.md")
    assert (tmp_path / "t.md").read_text().startswith("| run |")


def test_a_narrow_table_has_notes_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", [0.2, 0.5])
    main([tmp_path], where=["seed=0"])
    table, notes = capsys.readouterr().out.split("eval/targeted", 1)
    assert max(len(line.rstrip()) for line in table.splitlines()) < 70
    assert len("eval/targeted" + notes.splitlines()[0]) > 60
    assert max(map(len, notes.splitlines())) <= 72


@pytest.mark.parametrize("options", [{"form": "csv"}, {"out": Path("t.md")}])
def test_details_are_a_table_on_the_screen(tmp_path: Path, options: Any) -> None:
    write_run(tmp_path / "a", [0.2, 0.5])
    with pytest.raises(CropiError, match="--details: is a table on the screen"):
        main([tmp_path], details=True, **options)


def test_a_plot_that_cannot_be_drawn_is_told_before_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", [0.2, 0.5])
    with pytest.raises(CropiError, match=r"must end in \.png"):
        main([tmp_path], plot=tmp_path / "c.xyz")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("ratio", "shown"), [
    (0.804, "0.80×"), (9.996, "10.0×"), (99.96, "100×"), (999.4, "999×"), (819237483.0, "> 999×"),
])  # fmt: skip
def test_factors_have_three_digits(ratio: float, shown: str) -> None:
    assert factor(Acceleration(ratio, None, None, "exact", 1)) == shown


def test_a_metric_that_is_no_share_has_its_baseline_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for method in ("full", "cropi"):
        write_run(tmp_path / method, [0.2, 0.5], method=method)
    main([tmp_path], metric="reward")
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("full")).split()[:3] == [
        "full", "0.5", "baseline"
    ]
    assert any(line.startswith("reward at the end: mean") for line in lines)


def test_the_table_fits_a_terminal_of_eighty_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_arms(tmp_path)
    main([tmp_path])
    text = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "+50.0" in text


def test_failed_runs_are_marked_and_in_no_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", [0.2, 0.5])
    run = write_run(tmp_path / "b", [0.2, 0.9], seed=1, finished=False)
    (run / "failure.json").write_text(json.dumps({"error": "killed by SIGKILL"}))
    never = tmp_path / "c"  # failed before its manifest was written
    never.mkdir()
    manifest = json.loads((run / "manifest.json").read_text())
    (never / "failure.json").write_text(json.dumps({
        "error": "no memory", "config": {**manifest["config"], "seed": 2},
        "choices": manifest["choices"],
    }))
    main([tmp_path], form="json")
    states = [(r["state"], r["value"] and r["value"]["mean"])
              for r in json.loads(capsys.readouterr().out)["rows"]]
    assert states == [
        ("finished", 0.5), ("failed: killed by SIGKILL", None), ("failed: no memory", None)
    ]


def test_filters_and_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n, (alpha, seed) in enumerate([(0.1, 0), (0.1, 1), (0.2, 0), (0.5, 0)]):
        write_run(tmp_path / str(n), [0.2, alpha], seed=seed, data={"alpha": alpha})

    def labels(**options: Any) -> list[tuple[list[str], list[int]]]:
        main([tmp_path], form="json", **options)
        found = json.loads(capsys.readouterr().out)["rows"]
        return [(row["details"], row["seeds"]) for row in found]

    assert labels(where=["data.alpha<=0.2"]) == [
        (["data.alpha=0.1"], [0, 1]), (["data.alpha=0.2"], [0])
    ]
    assert labels(where=["data.alpha=0.10,0.5", "seed!=1"]) == [
        (["data.alpha=0.1"], [0]), (["data.alpha=0.5"], [0])
    ]
    assert [seeds for _, seeds in labels(group_by=["data.alpha"])] == [[0, 1], [0], [0]]
    with pytest.raises(CropiError, match=r'did you mean "data.alpha"'):
        labels(where=["data.alpa=0.1"])
    with pytest.raises(CropiError, match="no run is left"):
        labels(where=["seed=9"])
    with pytest.raises(CropiError, match="--baseline best: no finished run is called so"):
        labels(baseline="best")


def test_rows_of_one_seed_are_compared_with_the_baseline_of_that_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_arms(tmp_path)
    main([tmp_path], form="json", group_by=["seed"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["baseline"], row["missing_seeds"]) for row in rows] == [
        *((f"full (seed={seed})", []) for seed in range(3)), *[(None, [])] * 3
    ]
    assert [row["versus"]["mean"] for row in rows[:3]] == [0.5] * 3
