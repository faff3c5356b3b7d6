"""Reading a report page back, and run folders with selections to report on."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HOSTILE = "<script>alert('x')</script>\"&' onload=\"x"
POOL = {"a": "A/1", "b": "B", "c": "A/2", "d": HOSTILE}  # prompt -> family


class Page(HTMLParser):
    """Tags with their attributes, tables as rows of cells, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._cell = False
        self.feed(text)
        self.said = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self._cell = True
        elif tag == "br" and self._cell:
            self.tables[-1][-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell:
            self.tables[-1][-1][-1] += data

    def all(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]

    def table(self, *headings: str) -> list[list[str]]:
        """The rows of the one table whose headings begin so."""
        found = [t for t in self.tables if tuple(t[0][: len(headings)]) == headings]
        assert len(found) == 1, [t[0] for t in self.tables]
        return found[0][1:]


def select(
    run: Path, phases: Sequence[str], scores: Sequence[float] = (0.1, 0.4, 0.2, 9.0)
) -> Path:
    """Each phase chose the prompts named by letters; ``d`` has no valid score."""
    pq.write_table(pa.table({
        "set": ["train"] * 4 + ["test/A"], "id": [*POOL, "t"], "question": [HOSTILE] * 5,
        "source": ["s"] * 5, "family": [*POOL.values(), "only in a test set"],
    }), run / "prompts.parquet")  # fmt: skip
    for number, chosen in enumerate(phases):
        folder = run / "phases" / f"{number:03d}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({
            "prompt_id": list(POOL), "score": list(scores), "valid": [True, True, True, False],
            "selected": [name in chosen for name in POOL],
        }), folder / "scores.parquet")  # fmt: skip
    return run
