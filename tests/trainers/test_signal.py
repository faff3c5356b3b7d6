"""Why groups teach nothing."""

from __future__ import annotations

from tiny_training import EOS, group, trajectory

from cropi.trainers.signal import without_signal
from cropi.types import Group


def rewarded(*rewards: float | None, cut: bool = False) -> Group:
    return group("a", [1], *(trajectory([2, EOS], r, truncated=cut) for r in rewards))


def test_each_reason_is_counted_and_signal_is_not() -> None:
    groups = [
        rewarded(1.0, 1.0), rewarded(0.0, 0.0), rewarded(0.0, 0.0), rewarded(0.5, 0.5),
        rewarded(None, None), rewarded(None, 1.0), rewarded(0.0, 1.0),
    ]  # fmt: skip
    assert without_signal(groups, mask_truncated=False) == {
        "all wrong": 2, "cut off or not scorable": 2, "all right": 1, "equal rewards": 1,
    }
    assert list(without_signal(groups, mask_truncated=False).values()) == [2, 2, 1, 1]
    cut = [rewarded(0.0, 1.0, cut=True)]
    assert without_signal(cut, mask_truncated=False) == {}
    assert without_signal(cut, mask_truncated=True) == {"cut off or not scorable": 1}
