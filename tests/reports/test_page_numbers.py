"""The numbers of every figure against runs whose numbers can be worked out by hand."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_pages import HOSTILE, Page, select
from run_folders import write_run

from cropi.reports.acceleration import reach
from cropi.reports.arms import group
from cropi.reports.comparison import compare
from cropi.reports.page import composition, overlap, scores, share_map
from cropi.reports.page.course import course
from cropi.reports.page.findings import Findings
from cropi.reports.page.page import main
from cropi.reports.runs import find_runs


def findings(folder: Path) -> Findings:
    runs = find_runs([folder])
    return Findings(runs, compare(group(runs)))


@pytest.fixture
def two_methods(tmp_path: Path) -> Path:
    for method, curve, phases in (
        ("full", [0.2, 0.4, 0.6], ["abc", "abc"]), ("cropi", [0.2, 0.7, 0.8], ["ab", "ac"])
    ):  # fmt: skip
        for seed in range(2):
            ends = [curve[0], curve[1], curve[2] + 0.1 * seed]
            select(write_run(tmp_path / f"{method}{seed}", ends, method=method, seed=seed), phases)
    return tmp_path


def page_of(folder: Path) -> Page:
    out = folder / "report.html"
    main([folder], out)
    return Page(out.read_text(encoding="utf-8"))


def test_curves_are_means_over_what_was_spent(two_methods: Path) -> None:
    (row,) = [r for r in findings(two_methods).compared.rows if r.arm.method == "cropi"]
    here = course(row.arm, "seconds")
    # Rollouts 100 s, then 2 s a step; the selection's 30 s come before the first step.
    assert here.at.tolist() == pytest.approx([100, 150, 170])
    assert here.mean.tolist() == pytest.approx([0.2, 0.7, 0.85])
    assert here.ends[:, -1].tolist() == pytest.approx([0.85, 0.8, 0.9])  # mean, lowest, highest
    tokens = course(row.arm, "compute_tokens")
    # 50,000 generated offline; a step generates 1,000 and passes 500 backward, which count twice.
    assert tokens.at.tolist() == pytest.approx([50_000, 70_000, 90_000])


def test_a_selection_is_a_flat_stretch_and_the_ring_lies_on_the_line(tmp_path: Path) -> None:
    def spent(seconds: float) -> dict[str, float]:
        return {"cost/training/seconds": seconds}

    for seed in range(2):
        run = write_run(tmp_path / str(seed), [0.2], seed=seed, method="full")
        lines = [
            (0, "evaluation", {"eval/targeted": 0.2, **spent(0.0)}),
            (0, "selection", spent(40.0 + 20 * seed)),
            (10, "evaluation", {"eval/targeted": 0.8, **spent(80.0 + 20 * seed)}),
        ]
        text = "".join(json.dumps({"step": s, "phase": 0, "kind": k, "metrics": m}) + "\n"
                       for s, k, m in lines)  # fmt: skip
        (run / "metrics.jsonl").write_text(text)
    (row,) = findings(tmp_path).compared.rows
    here = course(row.arm, "seconds")
    assert here.path.tolist() == pytest.approx([0, 50, 90], abs=1e-4)
    assert here.ends[0].tolist() == pytest.approx([0.2, 0.2, 0.8], abs=1e-4)
    assert row.target is not None
    ring = reach(row.arm, row.target, "seconds").value
    assert ring is not None
    line = np.interp(ring, here.path, here.ends[0])
    assert line == pytest.approx(row.target.value, abs=1e-4)


def test_the_table_of_accuracies(two_methods: Path) -> None:
    rows = page_of(two_methods).table("row", "evaluated at first", "at the end", "highest")
    shown = {row[0]: row[1:] for row in rows}
    assert shown["cropi"][:3] == ["20.0", "85.0", "85.0"]
    # The level is 95 % of the mean of full's last three, (0.2 + 0.4 + 0.65) / 3.
    level = 0.95 * 1.25 / 3
    step = 10 * (level - 0.2) / 0.5  # of cropi, on its way from 0.2 to 0.7
    assert float(shown["cropi"][3]) == pytest.approx(step, abs=0.01)
    assert float(shown["cropi"][4]) == pytest.approx(130 + 2 * step, abs=0.5)  # after its selection
    assert shown["full"][6] == "-"


def test_the_headline(two_methods: Path) -> None:
    page = page_of(two_methods)
    # Two seeds, 0.8 and 0.9: the t-interval is 12.7062 standard errors of 0.05.
    low, high = (100 * (0.85 + sign * 12.7062 * 0.05) for sign in (-1, 1))
    assert f"2 seeds, 95 % interval {low:.1f} to {high:.1f}" in page.said
    assert "cropi ends highest, at 85.0 % targeted accuracy" in page.said
    assert re.search(r"To reach 39\.6 % \(95 ?% of the plateau of full\), full needed", page.said)
    rows = {row[0].split()[0]: row for row in page.table("run", "accuracy %")}
    ratio = rows["cropi"][3].split("×")[0]
    assert f"needed {ratio}×" in page.said


def test_composition(two_methods: Path) -> None:
    found = findings(two_methods)
    (arm,) = [arm for arm in found.finished if arm.method == "cropi"]
    pool = HOSTILE.split("/")[0]
    shown = composition.shares(found, arm, ["A", "B", pool])
    assert shown["pool"] == {"A": 0.5, "B": 0.25, pool: 0.25}  # prompts of test sets are none
    assert shown["1"] == {"A": 0.5, "B": 0.5, pool: 0.0}
    assert shown["2"] == {"A": 1.0, "B": 0.0, pool: 0.0}
    rows = page_of(two_methods).table("row", "phase", f"{pool} %", "A %", "B %")
    assert ["cropi", "2", "0.0", "100.0", "0.0", "seed 0 seed 1 "] in rows


def test_rare_families_are_one(two_methods: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "MOST_FAMILIES", 2)
    section = composition.section(findings(two_methods))
    assert section.numbers is not None
    assert list(section.numbers.headings) == ["row", "phase", "A %", "other families %"]
    for line in section.numbers.lines:
        assert sum(map(float, line.cells[2:])) == pytest.approx(100)


def test_overlaps(two_methods: Path) -> None:
    found = findings(two_methods)
    by_name = {arm.method: arm for arm in found.finished}
    methods = overlap.of_methods(found, found.places[0], list(by_name.values()))
    assert methods is not None
    assert methods.values[0, 1] == pytest.approx(2 / 3)  # {a, b, c} and {a, c}
    phases = overlap.of_phases(found, by_name["cropi"])
    assert phases is not None
    assert phases.values.tolist() == [[1, pytest.approx(1 / 3)], [pytest.approx(1 / 3), 1]]
    assert overlap.of_phases(found, by_name["full"]) is None  # always the same
    rows = page_of(two_methods).table("between", "one", "other", "Jaccard index")
    assert [row[:4] for row in rows] == [
        ["Methods", "cropi", "full", "0.67"], ["Phases of cropi", "1", "2", "0.33"]
    ]


def test_methods_overlap_only_where_they_share_a_seed(tmp_path: Path) -> None:
    for name, seeds, phase in (("a", (0, 1), "ab"), ("b", (1,), "bc"), ("c", (2,), "abc")):
        for seed in seeds:
            run = write_run(tmp_path / f"{name}{seed}", [0.2], method=name, seed=seed)
            select(run, ["abc", phase])  # the last one counts
    found = findings(tmp_path)
    methods = overlap.of_methods(found, found.places[0], found.selections.arms)
    assert methods is not None
    assert methods.values[0, 1] == pytest.approx(1 / 3)
    assert math.isnan(methods.values[0, 2])
    assert math.isnan(methods.values[1, 2])


def test_scores_leave_out_what_is_not_valid(two_methods: Path) -> None:
    found = findings(two_methods)
    (arm,) = [arm for arm in found.finished if arm.method == "cropi"]
    first = scores.spreads_of(found, arm)[0]
    assert sorted(first.scores) == [0.1, 0.1, 0.2, 0.2, 0.4, 0.4]  # both seeds; d has none
    assert sorted(first.chosen) == [0.1, 0.1, 0.4, 0.4]
    rows = page_of(two_methods).table("row", "phase", "prompts with a score")
    assert [row for row in rows if row[:2] == ["cropi", "2"]] == [
        ["cropi", "2", "6", "0.1", "0.125", "0.2", "0.35", "0.4", "4", "0.15", "seed 0 seed 1 "]
    ]


def test_budgets(two_methods: Path) -> None:
    rows = page_of(two_methods).table("row", "seconds: rollouts", "seconds: selection")
    cropi = next(row for row in rows if row[0] == "cropi")
    # 3 evaluations of 5 s; training 20 steps of 2 s, charged with the rest but the evaluations.
    assert cropi[1:6] == ["100", "30.0", "40.0", "15.0", "170"]
    assert cropi[6:11] == ["50.0k", "0", "40.0k", "21.0k", "90.0k"]


def test_test_sets_and_which_were_aimed_at(tmp_path: Path) -> None:
    for seed in range(2):
        run = write_run(tmp_path / str(seed), [0.2, 0.5], seed=seed)
        result = json.loads((run / "result.json").read_text())
        result["metrics"] |= {"eval/A/avg@4": 0.5 + 0.1 * seed, "eval/B/avg@4": 0.3}
        (run / "result.json").write_text(json.dumps(result))
        manifest = json.loads((run / "manifest.json").read_text())
        (run / "manifest.json").write_text(json.dumps({**manifest, "targeted": ["A"]}))
    rows = page_of(tmp_path).table("row", "A (targeted)", "B")
    assert rows == [["cropi", "55.0 ± 7.1", "30.0 ± 0.0", "seed 0 seed 1 "]]


def sweep(folder: Path) -> Path:
    def selector(alpha: float, keep: float) -> dict[str, Any]:
        return {"_target_": "x.cropi", "alpha": alpha, "projector": {"keep": keep}}

    ends = [(0.1, 1.0, 0.5), (0.1, 1.0, 0.7), (0.2, 1.0, 0.6), (0.2, 0.1, 0.4)]
    for number, (alpha, keep, end) in enumerate(ends):
        write_run(folder / str(number), [0.2, end], seed=number, selector=selector(alpha, keep))
    for seed, place in ((8, (0.3, 0.1)), (9, (0.2, 1.0))):
        run = write_run(folder / f"f{seed}", [0.2], seed=seed, finished=False,
                        selector=selector(*place))  # fmt: skip
        (run / "failure.json").write_text(json.dumps({"error": "killed"}))
    write_run(folder / "u", [0.2], seed=3, finished=False, selector=selector(0.3, 0.1))
    return folder


def test_the_map_of_share_by_projection(tmp_path: Path) -> None:
    (found,) = share_map.maps_of(find_runs([sweep(tmp_path)]))
    assert (found.xs, found.ys) == ((0.1, 0.2, 0.3), (0.1, 1.0))
    # 0.5 and 0.7: 0.6 ± 12.7062 * 0.1
    assert found.cell(0.1, 1.0).lines() == ["60.0", "n=2", "[-67.1, 187.1]"]
    assert found.cell(0.2, 1.0).lines() == ["60.0", "n=1", "1 failed"]
    assert found.cell(0.2, 0.1).lines() == ["40.0", "n=1"]
    assert found.cell(0.3, 0.1).lines() == ["1 failed", "1 unfinished"]
    assert found.cell(0.1, 0.1).lines() == ["missing"]
    rows = page_of(tmp_path).table("runs", "selector.alpha", "selector.projector.keep")
    assert ["cropi", "0.3", "0.1", "1 failed, 1 unfinished", "seed 8 seed 3 "] in rows


def test_cells_without_a_result_are_hatched(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    section = share_map.section(findings(sweep(tmp_path)))
    plot = Figure().subplots()
    section.drawings[0].panels[0].draw(plot)
    hatched = {patch.get_xy() for patch in plot.patches if patch.get_hatch()}
    # Columns are 0.1, 0.2, 0.3 and rows 1.0, 0.1 from the top: missing, failed, never tried.
    assert hatched == {(-0.5, 0.5), (1.5, 0.5), (1.5, -0.5)}
    shown = {text.get_text() for text in plot.texts}
    assert {"missing", "1 failed\n1 unfinished", "40.0\nn=1"} <= shown


def test_runs_that_differ_otherwise_have_maps_of_their_own(tmp_path: Path) -> None:
    pairs = [(0.1, "dot"), (0.2, "dot"), (0.1, "cos"), (0.2, "cos")]
    for number, (alpha, metric) in enumerate(pairs):
        selector = {"_target_": "x", "alpha": alpha, "projector": {"keep": 1.0}, "metric": metric}
        write_run(tmp_path / str(number), [0.2, 0.1 * number], selector=selector)
    maps = share_map.maps_of(find_runs([tmp_path]))
    names = [each.name for each in maps]
    assert names == ["cropi, selector.metric=dot", "cropi, selector.metric=cos"]
    assert [c.accuracy.mean for each in maps for c in each.cells.values() if c.accuracy] == (
        pytest.approx([0.0, 0.1, 0.2, 0.3])
    )
