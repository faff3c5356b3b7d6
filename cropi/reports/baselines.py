"""What each arm is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from cropi.reports.arms import Arm
from cropi.runtime.errors import CropiError, did_you_mean


def baselines(arms: Sequence[Arm], name: str | None) -> list[Arm]:
    """The finished arms of the label or method named, else of ``full``, maybe none.

    Raises CropiError for a name that none has.
    """
    finished = [arm for arm in arms if arm.finished and arm.seeds]
    found = [arm for arm in finished if arm.label == name]
    found = found or [arm for arm in finished if arm.method == (name or "full")]
    if not found and name is not None:
        known = list(dict.fromkeys(n for arm in finished for n in (arm.method, arm.label)))
        raise CropiError(
            f"--baseline {name}: no finished run is called so{did_you_mean(name, known)}; "
            f"there are {', '.join(known) or 'none'}"
        )
    return found


def nearest(arm: Arm, bases: Sequence[Arm], *, named: str | None) -> Arm | None:
    """The baseline to compare an arm with; none for a baseline itself.

    One that shares a seed comes before one that shares none, then the one that differs least.
    """
    if not arm.finished or any(arm is base for base in bases):
        return None
    alike = [
        base for base in bases if base.setting == arm.setting
        and (base.label == named or _model(base) == _model(arm))
    ]
    return min(
        alike, default=None,
        key=lambda base: (base.seeds.keys().isdisjoint(arm.seeds), _distance(arm, base)),
    )  # fmt: skip


def _model(arm: Arm) -> object:
    return arm.runs[0].config.get("model")


def _distance(arm: Arm, base: Arm) -> int:
    ours, theirs = arm.runs[0].keys, base.runs[0].keys
    names = (ours.keys() | theirs.keys()) - {"seed"}
    return sum(
        ours.get(name) != theirs.get(name) for name in names if name.split(".")[0] != "selector"
    )
