"""The gradient store: round trip, identity, damage, kills, several writers, more than 4 GiB."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropi.influence.row_file import RowFile
from cropi.influence.store import GradientStore
from cropi.runtime.errors import DataError

IDENTITY = {"policy": "abc", "projection": {"kind": "sparse", "k": 4}, "seeds": (1, 2)}
COLUMNS = ("norm", "seconds")


def opened(folder: Path, rows: int = 6, dimension: int = 4, **identity: Any) -> GradientStore:
    return GradientStore.open(folder, {**IDENTITY, **identity}, rows, dimension, COLUMNS)


def filling(places: list[int], dimension: int = 4) -> dict[str, Any]:
    """Row i is all i + 1, so that half of one is easily told."""
    values = np.array(places, dtype=np.float64) + 1.0
    return {
        "places": places,
        "rows": np.repeat(values[:, np.newaxis], dimension, axis=1),
        "columns": {"seconds": values / 8, "norm": values},
    }


def in_a_child(work: Callable[[], None]) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=work, daemon=True)
    process.start()
    return process


def assert_done_rows_are_whole(store: GradientStore) -> int:
    missing = set(store.missing().tolist())
    done = [place for place in range(store.count) if place not in missing]
    for place in done:
        assert set(store.rows([place])[0].tolist()) == {place + 1.0}
        assert store.column("norm")[place] == place + 1.0
    return len(done)


# ── what is written comes back ───────────────────────────────────────────────────────────────


def test_round_trip(tmp_path: Path) -> None:
    store = opened(tmp_path / "a" / "b")
    assert store.missing().tolist() == [0, 1, 2, 3, 4, 5]
    assert store.missing().dtype == np.int64
    store.write(**filling([4, 1]))
    store.write(**filling([0, 2, 3, 5]))
    again = opened(tmp_path / "a" / "b")
    assert again.missing().tolist() == []
    assert again.rows(np.array([5, 0], dtype=np.int32)).tolist() == [[6.0] * 4, [1.0] * 4]
    assert again.rows([]).shape == (0, 4)
    assert again.column("norm").tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert again.column("seconds").tolist() == [i / 8 for i in range(1, 7)]
    for max_bytes, sizes in {1: [1] * 6, 64: [4, 2], 10**9: [6]}.items():
        blocks = list(again.blocks(max_bytes))
        assert [stop - start for start, stop, _ in blocks] == sizes
        assert np.concatenate([b for *_, b in blocks])[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
        assert all(b.dtype == np.float32 for *_, b in blocks)


def test_anyone_can_read_it_with_numpy(tmp_path: Path) -> None:
    opened(tmp_path).write(**filling([0, 1, 2, 3, 4, 5]))
    assert np.load(tmp_path / "rows.npy", mmap_mode="r")[5].tolist() == [6.0] * 4
    assert np.load(tmp_path / "columns.npy").shape == (6, 2)
    assert json.loads((tmp_path / "store.json").read_text())["identity"]["seeds"] == [1, 2]


def test_a_row_may_be_written_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write(**filling([0]))
    assert store.rows([0])[0, 0] == 1.0
    store.write([0], np.full((1, 4), 9.0), {"norm": [9.0], "seconds": [0.0]})
    assert store.rows([0])[0, 0] == 9.0


def test_an_empty_store(tmp_path: Path) -> None:
    store = opened(tmp_path, rows=0)
    assert len(store.missing()) == 0
    assert list(store.blocks(100)) == []
    assert len(opened(tmp_path, rows=0).column("norm")) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"places": [6]}, "places 6 to 6 in a store of 6"),
        ({"places": [-1]}, "places -1"),  # would be in the file's header
        ({"rows": np.ones((1, 5))}, "expected"),
        ({"rows": np.array([[1.0, np.nan, 1.0, 1.0]])}, "not finite"),
        ({"columns": {"norm": [1.0]}}, "columns"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    store = opened(tmp_path)
    with pytest.raises(ValueError, match=words):
        store.write(**{**filling([0]), **change})
    assert len(store.missing()) == 6


def test_rows_that_are_not_there_are_not_zeros(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write(**filling([0, 1, 3]))
    with pytest.raises(ValueError, match=r"row 2 .* not been computed"):
        list(store.blocks(10**6))
    with pytest.raises(ValueError, match="row 4"):
        store.rows([0, 4])


# ── identity and damage ──────────────────────────────────────────────────────────────────────


def test_another_identity_is_refused_key_by_key(tmp_path: Path) -> None:
    opened(tmp_path)
    with pytest.raises(DataError) as caught:
        opened(tmp_path, dimension=5, projection={"kind": "sparse", "k": 5, "keep": 0.1})
    text = str(caught.value)
    assert "dimension was 4, is 5" in text
    assert "identity.projection.k was 4, is 5" in text
    assert "identity.projection.keep was absent, is 0.1" in text
    assert "kind" not in text
    assert "policy" not in text
    assert f"{tmp_path} holds gradients of something else" in text
    assert "move it away" in text


def test_another_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    path = tmp_path / "store.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(DataError, match="schema version 99"):
        opened(tmp_path)


def test_a_half_created_store_is_made_anew(tmp_path: Path) -> None:
    opened(tmp_path).write(**filling([0]))
    (tmp_path / "store.json").unlink()  # it is written last
    (tmp_path / "done.npy").write_bytes(b"half")
    assert len(opened(tmp_path, dimension=3).missing()) == 6


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def scribble(path: Path) -> None:
    path.write_bytes(b"not a header" + path.read_bytes()[12:])


@pytest.mark.parametrize("harm", [truncate, scribble, Path.unlink])
@pytest.mark.parametrize("name", ["rows.npy", "columns.npy", "done.npy"])
def test_damaged_files_are_an_error(
    tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    opened(tmp_path).write(**filling([0]))
    harm(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name} (is damaged|cannot be read).*move its folder"):
        opened(tmp_path)


def test_a_file_of_other_numbers_is_an_error(tmp_path: Path) -> None:
    opened(tmp_path)
    np.save(tmp_path / "rows.npy", np.zeros((6, 4), np.int32))  # the same size
    with pytest.raises(DataError, match=r"holds int32 \(6, 4\), expected float32 \(6, 4\)"):
        opened(tmp_path)


def test_a_damaged_header_is_an_error(tmp_path: Path) -> None:
    opened(tmp_path)
    truncate(tmp_path / "store.json")
    truncate(tmp_path / "store.json")
    with pytest.raises(DataError, match=r"store\.json is damaged"):
        opened(tmp_path)


def test_a_file_cut_while_open_is_an_error(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write(**filling([0, 1, 2, 3, 4, 5]))
    os.truncate(tmp_path / "rows.npy", 150)
    with pytest.raises(DataError, match="ends before row"):
        list(store.blocks(10**6))


@pytest.mark.parametrize("name", ["rows.npy", "columns.npy"])
def test_changed_bytes_are_an_error_that_names_the_row(tmp_path: Path, name: str) -> None:
    # A copy that lost pages has the right size and holes of zeros.
    opened(tmp_path).write(**filling([0, 1, 2, 3, 4, 5]))
    mapped = np.load(tmp_path / name, mmap_mode="r+")
    mapped[3, 1] = 0.0
    mapped.flush()
    store = opened(tmp_path)
    assert store.rows([2]).tolist() == [[3.0] * 4]
    with pytest.raises(DataError, match=r"rows\.npy is damaged at row 3; move"):
        list(store.blocks(10**6))


# ── kills and several processes ──────────────────────────────────────────────────────────────


def test_rows_are_on_disk_before_their_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    names = {path.stat().st_ino: path.name for path in tmp_path.iterdir()}
    events: list[tuple[str, int]] = []
    monkeypatch.setattr(
        os, "fsync",
        lambda handle: events.append((names[os.fstat(handle).st_ino], len(store.missing()))),
    )  # fmt: skip
    store.write(**filling([0, 1]))
    assert events == [("rows.npy", 6), ("columns.npy", 6), ("done.npy", 4)]


@pytest.mark.parametrize("moment", range(1, 10))
def test_killed_in_the_middle_of_a_file_write(tmp_path: Path, moment: int) -> None:
    """Three writes of two rows make nine of files; the child dies half-way through the n-th."""
    opened(tmp_path)

    def child() -> None:
        original, seen = RowFile.write, 0

        def write(file: RowFile, places: list[int], rows: np.ndarray) -> None:
            nonlocal seen
            seen += 1
            if seen == moment:
                half = rows.astype(file.dtype).copy()
                half.reshape(-1).view(np.uint8)[half.nbytes // 2 :] = 0
                original(file, places, half)
                os.kill(os.getpid(), signal.SIGKILL)
            original(file, places, rows)

        RowFile.write = write  # type: ignore[method-assign, assignment]
        store = opened(tmp_path)
        for places in ([0, 1], [2, 3], [4, 5]):
            store.write(**filling(places))

    process = in_a_child(child)
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    store = opened(tmp_path)
    # Killed while marking: the marks that got there are of rows that did.
    assert assert_done_rows_are_whole(store) == 2 * ((moment - 1) // 3) + (moment % 3 == 0)
    store.write(**filling(store.missing().tolist()))
    assert assert_done_rows_are_whole(opened(tmp_path)) == 6


def test_killed_while_writing_a_row_again(tmp_path: Path) -> None:
    opened(tmp_path).write(**filling([0, 1]))

    def child() -> None:
        original = RowFile.write

        def write(file: RowFile, places: list[int], rows: np.ndarray) -> None:
            original(file, places, rows)
            if file.path.name == "rows.npy":
                os.kill(os.getpid(), signal.SIGKILL)

        RowFile.write = write  # type: ignore[method-assign, assignment]
        opened(tmp_path).write([1, 2], np.full((2, 4), 9.0), {"norm": [9, 9], "seconds": [9, 9]})

    process = in_a_child(child)
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    store = opened(tmp_path)
    assert store.missing().tolist() == [1, 2, 3, 4, 5]
    assert_done_rows_are_whole(store)


def test_killed_at_any_time(tmp_path: Path) -> None:
    rows, dimension = 48, 2**16  # a quarter of a megabyte a row
    opened(tmp_path, rows, dimension)

    def child() -> None:
        store = opened(tmp_path, rows, dimension)
        left = store.missing().tolist()
        for start in range(0, len(left), 3):
            store.write(**filling(left[start : start + 3], dimension))

    random = np.random.default_rng(0)
    kills = 0
    for _ in range(50):
        process = in_a_child(child)
        process.join(timeout=0.01 + 0.04 * random.random())
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
            kills += 1
        process.join(timeout=60)
        if assert_done_rows_are_whole(opened(tmp_path, rows, dimension)) == rows:
            break
    else:
        child()
        assert assert_done_rows_are_whole(opened(tmp_path, rows, dimension)) == rows
    assert kills > 0


def test_two_processes_write_disjoint_rows_at_once(tmp_path: Path) -> None:
    rows = 60
    store = opened(tmp_path, rows)

    def child(first: int) -> Callable[[], None]:
        def work() -> None:
            mine = opened(tmp_path, rows)
            for place in range(first, rows, 2):
                mine.write(**filling([place]))

        return work

    running = [in_a_child(child(0)), in_a_child(child(1))]
    seen = [rows]
    while any(process.is_alive() for process in running):
        seen.append(len(store.missing()))  # the parent watches, as a progress display does
        time.sleep(0.001)
    assert [process.exitcode for process in running] == [0, 0]
    assert seen == sorted(seen, reverse=True)
    assert assert_done_rows_are_whole(store) == rows


# ── size ─────────────────────────────────────────────────────────────────────────────────────


def test_more_than_four_gibibytes(tmp_path: Path) -> None:
    """Influence trap 7 (bergson#67)."""
    rows, dimension = 70_001, 2**14
    if shutil.disk_usage(tmp_path).free < 2**30:
        pytest.skip("needs a gigabyte of disk in case the file system has no sparse files")
    store = opened(tmp_path, rows, dimension)
    size = (tmp_path / "rows.npy").stat().st_size
    assert size > 2**32
    last = np.array([rows - 1, 65_536 - 1, 65_536], dtype=np.int32)  # around 4 GiB, and the end
    store.write(**{**filling(last.tolist(), dimension), "places": last})
    again = opened(tmp_path, rows, dimension)
    assert again.rows(last)[:, [0, -1]].tolist() == [[p + 1.0] * 2 for p in last.tolist()]
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert mapped[-1, -1] == np.float32(rows)
    assert mapped[0, 0] == mapped[1, 0] == 0.0  # nothing wrapped around
    assert len(again.missing()) == rows - 3
    assert (tmp_path / "rows.npy").stat().st_blocks * 512 < size / 100


def test_blocks_hold_one_block_in_memory(tmp_path: Path) -> None:
    rows, dimension = 512, 4096  # 8 MB
    store = opened(tmp_path, rows, dimension)
    for start in range(0, rows, 64):
        store.write(**filling(list(range(start, start + 64)), dimension))
    tracemalloc.start()
    total = sum(float(block[:, 0].sum()) for *_, block in store.blocks(2**18))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == rows * (rows + 1) / 2
    assert peak < 2**20
