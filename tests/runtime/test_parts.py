"""Building parts from configuration nodes: everything wrong is said at once, nothing else runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from cropi.runtime.errors import ConfigError
from cropi.runtime.parts import Part, build, options_of, part


@part
class Inner(Part):
    size: Annotated[int, Field(ge=1)] = 1


@part
class Outer(Part):
    inner: Inner
    rate: Annotated[float, Field(gt=0, le=1)]
    mode: Literal["a", "b"] = "a"
    many: list[Inner] | None = None


HERE = __name__


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])


def node(**options: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.Outer", "inner": {"_target_": f"{HERE}.Inner"}, **options}


def test_nested_parts_are_built_and_ints_pass_for_floats() -> None:
    built = build(node(rate=1, many=[{"_target_": f"{HERE}.Inner", "size": 3}]), Outer, "outer")
    assert built.rate == 1
    assert isinstance(built.inner, Inner)
    assert built.many is not None
    assert built.many[0].size == 3
    assert options_of(Outer) == ["inner", "rate", "mode", "many"]


@pytest.mark.parametrize(("options", "said"), [
    ({"rate": 1.5}, "outer.rate=1.5: input should be less than or equal to 1"),
    ({"rate": "0.5"}, "outer.rate='0.5': input should be a valid number"),
    ({"rate": True}, "outer.rate=True: input should be a valid number"),
    ({"rate": 0.5, "mode": "c"}, "outer.mode='c': input should be 'a' or 'b'"),
    ({}, "outer.rate: needs a value"),
    ({"rat": 0.5}, 'outer.rat: Outer has no such option (did you mean "rate"?)'),
    ({"rate": 0.5, "many": [{"_target_": f"{HERE}.Inner", "size": 0}]},
     "outer.many.0.size=0: input should be greater than or equal to 1"),
])
def test_mistakes_name_key_value_and_range(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(node(**options), Outer, "outer")
    assert said in str(caught.value)


def test_all_mistakes_are_listed_at_once() -> None:
    bad = node(rate=2, mode="c")
    with pytest.raises(ConfigError) as caught:
        build(bad, Outer, "outer")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("target", ["os.system", "builtins.eval", "subprocess.Popen"])
def test_a_target_that_is_no_part_is_never_called(target: str) -> None:
    with pytest.raises(ConfigError, match="is not a Outer"):
        build({"_target_": target, "command": "true"}, Outer, "outer")
    with pytest.raises(ConfigError, match="is not a Part"):
        build(node(rate=1, inner={"_target_": target}), Outer, "outer")


def test_a_part_of_another_kind_and_a_missing_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="is not a Inner"):
        build(node(rate=1), Inner, "x")
    with pytest.raises(ConfigError, match="cannot be imported"):
        build({"_target_": "no_such_module.Thing"}, Outer, "outer")
