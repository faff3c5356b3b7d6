"""The report page: what it holds, that it is safe, and that every number leads to its run."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_folders import write_run

from cropi.reports.arms import group
from cropi.reports.page import contents
from cropi.reports.page.page import main
from cropi.reports.runs import find_runs
from cropi.runtime.errors import CropiError

HOSTILE = "<script>alert('x')</script>\"&"


class Page(HTMLParser):
    """Tags with their attributes, ids and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


def select(run: Path, phases: list[list[tuple[str, str]]]) -> None:
    """Selections and scores of some phases: (id, family) of the selected."""
    for number, chosen in enumerate(phases):
        folder = run / "phases" / f"{number:03d}"
        folder.mkdir(parents=True)
        lines = [json.dumps({"id": i, "family": f, "question": HOSTILE}) for i, f in chosen]
        (folder / "selection.jsonl").write_text("\n".join(lines) + "\n")
        pq.write_table(pa.table({
            "prompt_id": ["a", "b", "c", "d"], "score": [0.1, 0.4, 0.2, np.nan],
            "valid": [True, True, True, False], "selected": [False, True, False, False],
        }), folder / "scores.parquet")  # fmt: skip


def runs_of(folder: Path) -> Path:
    for method, end in (("full", 0.6), ("cropi", 0.8)):
        for seed in range(2):
            run = write_run(
                folder / f"{method} {seed}", [0.2, end - 0.1, end + seed / 50], method=method,
                seed=seed, note=HOSTILE, choices={"benchmark": HOSTILE},
            )  # fmt: skip
            select(run, [[("a", "A/1"), ("b", "B")], [("a", "A/2"), ("c", "B")]])
    failed = write_run(folder / "broken", [0.2], method="cropi", seed=9, finished=False)
    (failed / "failure.json").write_text(json.dumps({"error": f"ValueError: {HOSTILE}"}))
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("report")
    out = folder / "out" / "report.html"
    main([runs_of(folder / "runs")], out, figures_folder=folder / "figures")
    return out, out.read_text(encoding="utf-8")


def test_it_needs_no_network_and_runs_no_script(report: tuple[Path, str]) -> None:
    page = Page(report[1])
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object", "img")]
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    addresses = page.all("href") + page.all("xlink:href") + page.all("src")
    assert not [a for a in addresses if ":" in a and not a.startswith("data:image/png;")]
    assert "url(http" not in report[1]


def test_every_link_leads_somewhere(report: tuple[Path, str]) -> None:
    out, text = report
    page = Page(text)
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    for address in page.all("href") + page.all("xlink:href"):
        if address.startswith("data:image/png;"):
            continue  # the cells of a map
        if address.startswith("#"):
            assert address[1:] in ids, address
        else:
            assert (out.parent / unquote(address)).is_dir(), address
    for reference in re.findall(r"url\(#([^)]*)\)", text):
        assert reference in ids


def test_hostile_text_stays_text(report: tuple[Path, str]) -> None:
    assert "<script" not in report[1]
    assert "&lt;script&gt;" in report[1]
    assert HOSTILE in "".join(Page(report[1]).text)


def test_it_says_who_won_and_how_sure_that_is(report: tuple[Path, str]) -> None:
    said = "".join(Page(report[1]).text)
    assert "cropi ends highest, at 81.0 % targeted accuracy (2 seeds" in said
    assert "the difference to the next is not significant" in said
    assert "1 runs are unfinished or failed and in no number" in said
    assert f"failed: ValueError: {HOSTILE}" in said
    assert re.search(r"cropi rerun \S*/cropi 0", said)


def test_every_figure_is_there_readable_and_described(report: tuple[Path, str]) -> None:
    out, text = report
    page = Page(text)
    names = [a["id"] for t, a in page.tags if t == "figure"]
    assert {"figure-curves", "figure-composition", "figure-overlap-methods", "figure-scores",
            "figure-budget-seconds", "figure-budget-tokens"} <= set(names)
    drawings = [a for t, a in page.tags if t == "svg"]
    assert len(drawings) == len(names)
    assert all(a["role"] == "img" and "aria-labelledby" in a for a in drawings)
    assert "#010203" not in text
    assert "currentColor" in text
    for suffix in ("svg", "png"):
        files = {path.stem for path in (out.parent.parent / "figures").glob(f"*.{suffix}")}
        assert {f"figure-{name}" for name in files} == set(names)


def test_numbers_of_the_figures(tmp_path: Path) -> None:
    arms = [arm for arm in group(find_runs([runs_of(tmp_path)])) if arm.finished]
    shares = {(c.label, c.phase): c.shares for c in contents.compositions(arms)}
    assert shares["cropi", 0] == {"A": 0.5, "B": 0.5}
    methods = contents.overlap_of_methods(arms)
    assert methods is not None
    assert methods.values.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    phases = contents.overlap_of_phases(arms[0])
    assert phases is not None
    assert phases.values[0, 1] == pytest.approx(1 / 3)  # {a, b} and {a, c}
    scored = contents.scored(arms[0])
    assert scored is not None
    assert scored.values[0].tolist() == [0.1, 0.4, 0.2]  # the invalid one is left out
    assert scored.selected[0].tolist() == [0.4]


def test_the_map_of_share_by_projection(tmp_path: Path) -> None:
    def selector(alpha: float, keep: float) -> dict[str, Any]:
        return {"_target_": "x.cropi", "alpha": alpha, "projector": {"keep": keep}}

    for number, (alpha, keep, end) in enumerate(
        [(0.1, 1.0, 0.5), (0.1, 1.0, 0.7), (0.2, 1.0, 0.6), (0.2, 0.1, 0.4)]
    ):
        write_run(tmp_path / str(number), [0.2, end], seed=number, selector=selector(alpha, keep))
    failed = write_run(tmp_path / "f", [0.2], seed=9, finished=False, selector=selector(0.1, 0.1))
    (failed / "failure.json").write_text(json.dumps({"error": "x"}))
    cells = {(c.x, c.y): c.lines() for c in contents.cells(find_runs([tmp_path]))}
    assert cells[0.1, 1.0][:2] == ["60.0", "n=2"]
    assert cells[0.2, 0.1] == ["40.0", "n=1"]
    assert cells[0.1, 0.1] == ["failed"]
    out = tmp_path / "report.html"
    main([tmp_path], out)
    text = out.read_text(encoding="utf-8")
    assert 'id="figure-heat-map"' in text
    assert ">failed<" in text.replace("\n", "")


@pytest.mark.parametrize("finished", [True, False])
def test_one_run_is_enough_and_what_is_missing_is_said(tmp_path: Path, finished: bool) -> None:
    write_run(tmp_path / "only", [0.2, 0.5], finished=finished)
    out = tmp_path / "report.html"
    main([tmp_path], out)
    said = " ".join("".join(Page(out.read_text(encoding="utf-8")).text).split())
    assert ("ends highest, at 50.0 %" in said) is finished
    assert ("No run is finished yet" in said) is not finished
    assert "overlaps, as there is one selection only" in said


def test_the_same_runs_give_the_same_page(report: tuple[Path, str], tmp_path: Path) -> None:
    out, text = report
    again = out.with_name("again.html")
    main([out.parent.parent / "runs"], again)
    same = again.read_text(encoding="utf-8").replace("again.html", "report.html")
    assert same == text


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(CropiError, match="no runs below"):
        main([tmp_path], tmp_path / "r.html")
