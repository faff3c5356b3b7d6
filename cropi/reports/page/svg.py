"""A matplotlib figure as SVG inside a page: colours of the page, ids of its own, a spoken text."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from cropi.reports.curves import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Stand for the page's own colours, which differ by light and dark.
INK, GRID, PAPER = "#010203", "#010204", "#010205"
VARIABLES = {
    INK: "currentColor", GRID: "var(--grid)", PAPER: "var(--card)",
    **{colour.lower(): f"var(--c{number})" for number, colour in enumerate(COLOURS)},
}  # fmt: skip
_XLINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_FONT = re.compile(r"font-family: [^;]*;? ?")


def embedded(figure: Figure, name: str, title: str = "", said: str = "") -> str:
    """``<svg>`` for an HTML page; without a title it is decoration that a screen reader skips.

    Ids begin with ``name``: pages hold many figures, and matplotlib names them all alike.
    """
    from matplotlib import rc_context

    text = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = ElementTree.fromstring(text.getvalue())
    _drop(svg, "metadata", "style")
    wanted = _referenced(svg)
    for node in svg.iter():
        node.tag = node.tag.rpartition("}")[2]
        _rewrite(node, name, wanted)
    for size in ("width", "height", "version"):
        svg.attrib.pop(size, None)
    if title:
        svg.attrib |= {"role": "img", "aria-labelledby": f"{name}-t {name}-d"}
        for place, (tag, content) in enumerate((("title", title), ("desc", said))):
            node = ElementTree.Element(tag, {"id": f"{name}-{tag[0]}"})
            node.text = content
            svg.insert(place, node)
    else:
        svg.set("aria-hidden", "true")
    return ElementTree.tostring(svg, encoding="unicode")


def _drop(svg: ElementTree.Element, *tags: str) -> None:
    for parent in list(svg.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in tags:
                parent.remove(child)


def _referenced(svg: ElementTree.Element) -> set[str]:
    found: set[str] = set()
    for node in svg.iter():
        for value in node.attrib.values():
            found.update(_REFERENCE.findall(value))
        found.add(node.get(_XLINK, "").removeprefix("#"))
    return found


def _rewrite(node: ElementTree.Element, name: str, wanted: set[str]) -> None:
    own = node.attrib.pop("id", None)
    if own in wanted:
        node.set("id", f"{name}-{own}")
    target = node.attrib.pop(_XLINK, None)
    if target is not None:
        node.set("href", f"#{name}-{target.removeprefix('#')}")
    for key in ("style", "clip-path"):
        value = node.get(key)
        if value is not None:
            value = _REFERENCE.sub(rf"url(#{name}-\1)", value)
            value = _COLOUR.sub(lambda found: VARIABLES.get(found[0], found[0]), value)
            node.set(key, _FONT.sub("", value))
