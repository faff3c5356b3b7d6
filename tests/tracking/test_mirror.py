from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from cropi.contracts import RunIdentity, Tracker
from cropi.runtime.errors import ConfigError
from cropi.runtime.parts import build, part
from cropi.tracking import mirror
from cropi.tracking.mirror import Mirror
from cropi.tracking.none import NoTracker
from cropi.tracking.several import Several


@part
class Fragile(Mirror):
    """Fails where it is told to and remembers what reached it."""

    fails: str = ""

    def __post_init__(self) -> None:
        self.seen: list[str] = []

    def _do(self, what: str) -> None:
        self.seen.append(what)
        if what == self.fails:
            raise ConnectionError("no route")

    def open(self, run: RunIdentity) -> None:
        self._do("open")

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._do("write")

    def close(self, summary: Mapping[str, float]) -> None:
        self._do("close")


def run_through(tracker: Tracker, folder: Path) -> None:
    tracker.start(RunIdentity("id", "name", folder, {}))
    tracker.log(1, {"loss": 1.0})
    tracker.log(2, {"loss": 1.0})
    tracker.finish({})
    tracker.finish({})


@pytest.mark.parametrize(
    ("fails", "seen"),
    [
        ("", ["open", "write", "write", "close"]),
        ("open", ["open"]),
        ("write", ["open", "write", "close"]),  # closed, so that what arrived is kept
        ("close", ["open", "write", "write", "close"]),
    ],
)
def test_a_failure_is_warned_of_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fails: str, seen: list[str]
) -> None:  # hydra_ux 6
    tracker = Fragile(fails=fails)
    with caplog.at_level(logging.WARNING):
        run_through(tracker, tmp_path)
    assert tracker.seen == seen
    assert len(caplog.messages) == (1 if fails else 0)
    if fails:
        assert "ConnectionError: no route" in caplog.text


def test_a_tracker_that_never_started_is_silent() -> None:
    tracker = Fragile()
    tracker.log(1, {})
    tracker.finish({})
    assert tracker.seen == []


def test_ctrl_c_is_not_swallowed(tmp_path: Path) -> None:
    tracker = Fragile()
    tracker.start(RunIdentity("id", "name", tmp_path, {}))
    tracker._do = lambda what: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        tracker.log(1, {})


def test_several_go_on_when_one_fails(tmp_path: Path) -> None:
    broken, sound = Fragile(fails="write"), Fragile()
    run_through(Several(trackers={"broken": broken, "sound": sound}), tmp_path)
    assert sound.seen == ["open", "write", "write", "close"]


def test_several_are_built_from_nested_nodes() -> None:
    none = {"_target_": "cropi.tracking.none.NoTracker"}
    node = {"_target_": "cropi.tracking.several.Several", "trackers": {"a": none, "b": none}}
    built = build(node, Tracker, "tracker")
    assert isinstance(built, Several)
    assert [type(t) for t in built.trackers.values()] == [NoTracker, NoTracker]


def test_several_need_at_least_one() -> None:
    node = {"_target_": "cropi.tracking.several.Several", "trackers": {}}
    with pytest.raises(ConfigError, match=r"tracker\.trackers"):
        build(node, Tracker, "tracker")


@pytest.mark.parametrize(
    ("target", "package"),
    [("tensorboard.TensorBoard", "tensorboard"), ("trackio.Trackio", "trackio")],
)
def test_a_missing_extra_is_named_with_its_pip_line(
    monkeypatch: pytest.MonkeyPatch, target: str, package: str
) -> None:
    monkeypatch.setattr(mirror, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"pip install 'cropi\[{package}\]'"):
        build({"_target_": f"cropi.tracking.{target}"}, Tracker, "tracker")
