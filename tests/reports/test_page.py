"""The report page as a file: it is safe, needs nothing else, and every number leads to its run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from report_pages import HOSTILE, Page, select
from run_folders import write_run

from cropi.commands import run as command
from cropi.reports.page.page import main
from cropi.runtime.errors import CropiError


def runs_of(folder: Path) -> Path:
    """Two methods of two seeds, and one that failed; texts are hostile wherever they can be."""
    for method, end in (("full", 0.6), (r"cropi $\frac{$", 0.8)):
        for seed in range(2):
            run = write_run(
                folder / f"{method[:5]} & <b>#?%41{seed}", [0.2, end - 0.1, end + seed / 50],
                method=method, seed=seed, note=f"{HOSTILE} {method}",
                choices={"benchmark": HOSTILE},
            )  # fmt: skip
            select(run, ["ab", "ac"])
    failed = write_run(folder / "broken", [0.2], seed=9, method="full", finished=False)
    (failed / "failure.json").write_text(json.dumps({"error": f"ValueError: {HOSTILE}"}))
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("report")
    out = folder / "out" / "report.html"
    described = {"full": HOSTILE}
    main([runs_of(folder / "runs")], out, figures_folder=folder / "figures", described=described)
    return out, out.read_text(encoding="utf-8")


def test_it_needs_no_network_and_runs_no_script(report: tuple[Path, str]) -> None:
    page = Page(report[1])
    assert not {tag for tag, _ in page.tags} & {
        "script", "link", "iframe", "object", "embed", "img", "image", "base", "form"
    }
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
    policies = [a["content"] for _, a in page.tags if a.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert not [a for a in page.all("href") + page.all("src") if ":" in a or a.startswith("/")]
    assert not re.search(r"url\((?!#)|@import|https?://", report[1])


def test_every_link_leads_somewhere(report: tuple[Path, str]) -> None:
    out, text = report
    page = Page(text)
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    folders = set()
    for address in page.all("href"):
        if address.startswith("#"):
            assert address[1:] in ids, address
        else:
            folders.add((out.parent / unquote(urlsplit(address).path)).resolve())
    assert folders == {path.resolve() for path in (out.parent.parent / "runs").iterdir()}
    for reference in re.findall(r"url\(#([^)]*)\)", text):
        assert reference in ids
    for names in page.all("aria-labelledby"):
        assert set(names.split()) <= set(ids)


def test_hostile_text_stays_text(report: tuple[Path, str]) -> None:
    page = Page(report[1])
    assert "<script" not in report[1].lower()
    assert page.text.count(HOSTILE) > 5
    assert r"cropi $\frac{$" in page.text  # no formula, and no crash
    for suffix in ("svg", "png"):
        files = (report[0].parent.parent / "figures").glob(f"*.{suffix}")
        assert all(path.stat().st_size for path in files)


def test_every_figure_is_described_and_takes_the_colours_of_the_page(
    report: tuple[Path, str],
) -> None:
    out, text = report
    page = Page(text)
    names = {a["id"].removeprefix("figure-") for t, a in page.tags if t == "figure"}
    assert names == {"accuracy-0", "selection-0", "overlap-methods", "overlap-phases", "scores",
                     "budget"}
    for suffix in ("svg", "png"):
        written = {path.stem for path in (out.parent.parent / "figures").glob(f"*.{suffix}")}
        assert written == names
    drawings = [a for t, a in page.tags if t == "svg" and "aria-hidden" not in a]
    assert len(drawings) == 12  # 3 of accuracy; selection, phases and scores of 2 methods; …
    assert all(a["role"] == "img" and a["aria-labelledby"] for a in drawings)
    assert text.count("<desc ") == text.count("<title id=") == len(drawings)
    assert all(re.findall(r"<desc [^>]*>([^<]*)", text))
    assert "currentColor" in text
    assert ">optimizer steps</text>" in text  # text can be found and copied
    assert "var(--c0)" in text
    # Only the two inks of the coloured cells are the same in light and dark.
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    fixed = set(re.findall(r"(?:fill|stroke): (#\w+)", drawn.replace("#ffffff", "")))
    assert not fixed & {"#000000", "#010203", "#010204", "#0072b2", "#d55e00"}


def test_failed_runs_are_marked_and_every_run_has_its_command(report: tuple[Path, str]) -> None:
    rows = Page(report[1]).table("run", "state", "steps", "accuracy %", "command")
    states = {row[0]: row[1:] for row in rows}
    assert states["broken"][:3] == [f"failed: ValueError: {HOSTILE}", "0", "20.0"]
    assert states["full & <b>#?%411"][:3] == ["finished", "20", "62.0"]
    assert all(re.match(r"cropi rerun \S", row[-1]) for row in rows)
    assert len(rows) == 5


def test_the_same_runs_give_the_same_page(report: tuple[Path, str]) -> None:
    out, text = report
    again = out.with_name("again.html")
    main([out.parent.parent / "runs"], again, described={"full": HOSTILE})
    assert again.read_text(encoding="utf-8").replace("again.html", "report.html") == text


def test_the_command_that_made_it_is_whole(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0.2, 0.5], method="random")
    write_run(tmp_path / "b", [0.2, 0.5], method="full")
    out = tmp_path / "r.html"
    given = ["--out", str(out), "--baseline", "random", "--where", "seed<1"]
    assert command(["report", str(tmp_path), *given]) == 0
    page = Page(out.read_text(encoding="utf-8"))
    assert f"cropi report {tmp_path} --out {out} --baseline random --where 'seed<1'" in page.said
    assert "A random share of the pool" in page.said  # what the selector says of itself


def test_twenty_runs_stay_small(tmp_path: Path) -> None:
    for number in range(20):
        curve = [0.2 + step / 100 for step in range(20)]
        run = write_run(tmp_path / str(number), curve, seed=number % 2, method=f"m{number // 2}")
        select(run, ["ab", "ac", "bc", "ab"])
    main([tmp_path], tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size < 3e6


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(CropiError, match="no runs below"):
        main([tmp_path], tmp_path / "r.html")
    write_run(tmp_path / "a", [0.2])
    with pytest.raises(CropiError, match="no run is left"):
        main([tmp_path], tmp_path / "r.html", where=["seed=7"])
