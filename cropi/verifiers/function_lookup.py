"""Is there such a function? Answered from the source, without running a line of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from cropi.runtime.errors import did_you_mean


def fault_of(target: str) -> str | None:
    """What is wrong with ``package.module:function``, in words for people, or None."""
    module, _, function = target.partition(":")
    if not all(map(str.isidentifier, [function, *module.split(".")])):
        return "is not of the form module:function, such as my_rewards:score"
    spec = _spec(module)
    if spec is None:
        return (
            f"there is no module {module}; it is looked for in the folder that cropi is run in, "
            f"and among what is installed"
        )
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except SyntaxError as error:
        return f"{spec.origin}, line {error.lineno}: {error.msg}"
    names = list(_names(tree))
    if function in names or "*" in names or "__getattr__" in names:
        return None
    return f"{spec.origin} has no {function}{did_you_mean(function, names)}"


def _spec(module: str) -> ModuleSpec | None:
    """Of a dotted name. ``find_spec`` alone would import the packages above it."""
    first, *rest = module.split(".")
    if first == "__main__":  # another one in every process
        return None
    spec, name = find_spec(first), first
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec


def _names(node: ast.AST) -> Iterator[str]:
    """What a module binds, in the branches of if, try and with too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child.name
        elif isinstance(child, ast.alias):
            yield child.asname or child.name.partition(".")[0]
        elif isinstance(child, ast.Name):
            if isinstance(child.ctx, ast.Store):
                yield child.id
        elif not isinstance(child, ast.Lambda):
            yield from _names(child)
