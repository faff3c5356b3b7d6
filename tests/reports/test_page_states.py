"""Reports of little: one run, none finished, failures, several benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_pages import HOSTILE, Page, select
from run_folders import write_run

from cropi.reports.page import selections, share_map
from cropi.reports.page.page import main
from cropi.runtime.errors import DataError


def page_of(folder: Path) -> Page:
    out = folder / "report.html"
    main([folder], out)
    return Page(out.read_text(encoding="utf-8"))


def test_one_finished_run(tmp_path: Path) -> None:
    write_run(tmp_path / "only", [0.2, 0.5])
    page = page_of(tmp_path)
    assert "cropi ends at 50.0 % targeted accuracy (1 seed, so no interval)." in page.said
    assert "Not shown: accuracy by test set, as there is one test set at most" in page.said
    for why in (
        "the map of α by projection, as neither varies", "as no finished run has prompts of more",
        "overlaps, as there is no second method", "as no finished method scores prompts apart",
        "a comparison of configurations, as all runs have the same but for the seed",
    ):  # fmt: skip
        assert why in page.said
    figures = [a["id"] for t, a in page.tags if t == "figure"]
    assert figures == ["figure-accuracy-0", "figure-budget"]


def test_no_finished_run(tmp_path: Path) -> None:
    write_run(tmp_path / "going", [0.2, 0.5], finished=False)
    page = page_of(tmp_path)
    assert "No run is finished yet. Of 1 runs, 1 unfinished" in page.said
    assert "budgets, as no run is finished" in page.said
    assert "cropi, seed 0 (unfinished)" in page.said  # its curve is shown, and marked
    assert not [a for t, a in page.tags if a.get("class") == "tiles"]


def test_a_run_that_never_began(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.2, 0.5], method="full")
    (tmp_path / "b").mkdir()
    config = json.loads((tmp_path / "a" / "manifest.json").read_text())["config"]
    (tmp_path / "b" / "failure.json").write_text(json.dumps(
        {"error": "ConfigError: no such model", "config": {**config, "seed": 4}, "choices": {}}
    ))  # fmt: skip
    page = page_of(tmp_path)
    assert "Of 2 runs, 1 failed: these are marked, and in no number." in page.said
    assert "failed: ConfigError: no such model" in page.said


def test_benchmarks_are_not_compared_with_each_other(tmp_path: Path) -> None:
    for benchmark, end in (("easy", 0.9), ("hard", 0.3)):
        for method in ("full", "cropi"):
            run = write_run(
                tmp_path / f"{benchmark} {method}", [0.1, end], method=method,
                choices={"benchmark": benchmark},
            )  # fmt: skip
            manifest = json.loads((run / "manifest.json").read_text())
            manifest["config"]["benchmark"] = {"_target_": f"x.{benchmark}"}
            (run / "manifest.json").write_text(json.dumps(manifest))
            select(run, ["ab"] if method == "full" else ["bc"])
    page = page_of(tmp_path)
    assert "On easy: " in page.said
    assert "On hard: " in page.said
    figures = [a["id"] for t, a in page.tags if t == "figure"]
    assert [f for f in figures if "accuracy" in f] == ["figure-accuracy-0", "figure-accuracy-1"]
    pairs = {tuple(row[:4]) for row in page.table("between", "one", "other", "Jaccard index")}
    assert pairs == {
        ("Methods, easy", "cropi", "full", "0.33"), ("Methods, hard", "cropi", "full", "0.33")
    }


def test_models_are_not_compared_with_each_other(tmp_path: Path) -> None:
    for name, end in (("small", 0.3), ("large", 0.9)):
        for method in ("full", "cropi"):
            write_run(tmp_path / f"{name} {method}", [0.1, end], method=method,
                      model={"size": name}, choices={"benchmark": "b", "model": name})  # fmt: skip
    page = page_of(tmp_path)
    assert "On b with small: " in page.said
    assert "On b with large: " in page.said


def test_what_a_sweep_has_planned_and_nobody_began(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", [0.2, 0.5])
    config = json.loads((run / "manifest.json").read_text())["config"]
    plan = tmp_path / "sweeps" / "s"
    plan.mkdir(parents=True)
    jobs = [{"run": str(tmp_path / name), "file": "job.json"} for name in ("a", "later")]
    (plan / "plan.json").write_text(json.dumps({"jobs": jobs}))
    job = {"config": {**config, "seed": 1}, "choices": {"selector": "cropi"}}
    (plan / "job.json").write_text(json.dumps(job))
    page = page_of(tmp_path)
    assert "Of 2 runs, 1 not begun: these are marked, and in no number." in page.said
    states = [row[:2] for row in page.table("run", "state")]
    assert states == [["a", "finished"], ["later", "not begun"]]


def test_configurations_show_only_what_differs(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.2], trainer={"rate": 0.1, "same": 1, "api_key": "one"})
    write_run(tmp_path / "b", [0.2], trainer={"rate": 0.2, "same": 1, "api_key": "two"}, seed=1)
    write_run(tmp_path / "c", [0.2], trainer={"same": 1}, seed=2)
    rows = page_of(tmp_path).table("row", "trainer.rate")
    assert [row[:2] for row in rows] == [
        ["cropi, seed 0", "0.1"], ["cropi, seed 1", "0.2"], ["cropi, seed 2", "·"]
    ]


def test_many_differing_keys_are_lines(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.2], trainer={f"k{n}": n for n in range(9)})
    write_run(tmp_path / "b", [0.2], trainer={f"k{n}": -n for n in range(1, 9)})
    rows = page_of(tmp_path).table("key", "cropi, seed 0", "cropi, seed 0")
    assert ["trainer.k0", "0", "·"] in rows
    assert ["trainer.k3", "3", "-3"] in rows
    assert len(rows) == 9


def test_what_is_too_much_to_draw_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "MOST_ARMS", 1)
    monkeypatch.setattr(selections, "MOST_PHASES", 2)
    for method in ("a", "b"):
        select(write_run(tmp_path / method, [0.2], method=method), ["ab", "ac", "bc"])
    page = page_of(tmp_path)
    cut = "Only the first 1 of 2 rows and the first 2 of 3 phases are shown."
    assert page.said.count(cut) == 3
    rows = page.table("between", "one", "other")
    assert [row[:3] for row in rows] == [["Phases of a", "1", "2"]]


def test_what_is_shown_whole_has_no_such_words(tmp_path: Path) -> None:
    for method in ("a", "b"):
        select(write_run(tmp_path / method, [0.2], method=method), ["ab", "ac", "bc"])
    assert "Only the first" not in page_of(tmp_path).said


def test_maps_that_are_too_many_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_map, "MOST_MAPS", 2)
    for number in range(8):
        selector = {"_target_": "x", "alpha": number % 2, "projector": {"keep": 1.0},
                    **{f"k{n}": number // 2 for n in range(4)}}  # fmt: skip
        write_run(tmp_path / str(number), [0.2, 0.1 * number], selector=selector)
    page = page_of(tmp_path)
    assert "Only the first 2 of 4 maps are shown." in page.said
    rows = page.table("runs", "selector.alpha", "selector.projector.keep")
    name = "cropi, selector.k0={0}, selector.k1={0}, selector.k2={0}, …"
    assert [row[0] for row in rows] == [name.format(k) for k in (0, 0, 1, 1)]


def test_families_are_those_of_the_own_run(tmp_path: Path) -> None:
    select(write_run(tmp_path / "a", [0.2], method="a"), ["ab"])
    older = write_run(tmp_path / "b", [0.2], method="b", evaluation={"every": 3})
    (select(older, ["ab"]) / "prompts.parquet").unlink()  # earlier runs have none
    rows = page_of(tmp_path).table("row", "phase", f"{HOSTILE.split('/')[0]} %")
    assert {row[0].split(",")[0] for row in rows} == {"a"}


def test_a_selection_that_cannot_be_read_says_where(tmp_path: Path) -> None:
    run = select(write_run(tmp_path / "a", [0.2]), ["ab"])
    (run / "phases" / "000" / "scores.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="a: a selection cannot be read"):
        page_of(tmp_path)
