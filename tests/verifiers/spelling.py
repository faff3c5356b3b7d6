r"""A tree of ``grammar`` in LaTeX, written in one of many ways that mean the same."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from random import Random

from grammar import Tree


def written(tree: Tree, random: Random) -> str:
    """One of the many ways to write it."""
    texts = [part if isinstance(part, str) else written(part, random) for part in tree.parts]
    if tree.kind in _WAYS:
        return random.choice(_WAYS[tree.kind])(*texts)
    return _group(tree, texts, random)


def _brackets(text: str) -> str:
    return text if text.isdigit() or text == "x" else rf"\left({text}\right)"


_WAYS: dict[str, list[Callable[..., str]]] = {
    "x": [lambda: "x", lambda: "{x}"],
    "choice": [
        str, lambda a: f"({a})", lambda a: rf"\text{{{a}}}", lambda a: rf"\textbf{{({a})}}",
    ],
    "integer": [
        str, str, lambda n: n + ".0", lambda n: "0" + n, lambda n: rf"\frac{{{n}}}{{1}}",
        lambda n: f"{int(n):,}".replace(",", "{,}"),
    ],
    "decimal": [
        lambda w, p: f"{w}.{p}", lambda w, p: f"{w}.{p}00",
        lambda w, p: rf"\frac{{{w}{p}}}{{1000}}", lambda w, p: rf"{w}{p}\times10^{{-3}}",
    ],
    "fraction": [
        lambda a, b: rf"\frac{{{a}}}{{{b}}}", lambda a, b: rf"\dfrac{{{a}}}{{{b}}}",
        lambda a, b: f"{a}/{b}", lambda a, b: rf"\frac{{{2 * int(a)}}}{{{2 * int(b)}}}",
        lambda a, b: rf"\frac{{-{a}}}{{-{b}}}",
    ],
    "mixed": [
        lambda w, a, b: rf"{w}\frac{{{a}}}{{{b}}}", lambda w, a, b: f"{w} {a}/{b}",
        lambda w, a, b: rf"\frac{{{int(w) * int(b) + int(a)}}}{{{b}}}",
    ],
    "factorial": [lambda n: n + "!", lambda n: f"({n})!", lambda n: str(factorial(int(n)))],
    "binomial": [lambda n, k: rf"\binom{{{n}}}{{{k}}}", lambda n, k: rf"\dbinom{{{n}}}{{{k}}}"],
    "root": [lambda n: rf"\sqrt{{{n}}}", lambda n: rf"{n}^{{1/2}}", lambda n: rf"\sqrt {{ {n} }}"],
    "absolute": [lambda n: f"|-{n}|", lambda n: rf"\left|{n}\right|"],
    "sum": [lambda a, b: f"{a}+{_brackets(b)}", lambda a, b: rf"{_brackets(b)} + {_brackets(a)}"],
    "difference": [
        lambda a, b: f"{a}-{_brackets(b)}", lambda a, b: rf"-{_brackets(b)}+{_brackets(a)}",
    ],
    "product": [
        lambda a, b: rf"{_brackets(a)}\cdot {_brackets(b)}", lambda a, b: rf"({b}) \times ({a})",
        lambda a, b: rf"({a})({b})",
    ],
    "quotient": [
        lambda a, b: rf"\frac{{{a}}}{{{b}}}", lambda a, b: rf"({a})/({b})",
        lambda a, b: rf"({a}) \div ({b})",
    ],
    "power": [lambda a, n: rf"({a})^{{{n}}}", lambda a, n: rf"\left({a}\right)^{n}"],
    "negative": [
        lambda a: f"-({a})", lambda a: rf"-1\cdot({a})", lambda a: rf"-\left( {a} \right)",
    ],
}


def _group(tree: Tree, texts: list[str], random: Random) -> str:
    if tree.kind == "interval":
        brackets, *ends = texts
        return random.choice([
            brackets[0] + ",".join(ends) + brackets[1],
            rf"\left{brackets[0]} {ends[0]}, {ends[1]} \right{brackets[1]}",
            ends[0] + (r"\le x" if brackets[0] == "[" else "<x")
            + (r"\le " if brackets[1] == "]" else "<") + ends[1],
        ])
    if tree.kind in ("set", "list"):
        random.shuffle(texts)
    inside = random.choice([", ", r",\ ", " , "]).join(texts)
    return {
        "set": rf"\left\{{{inside}\right\}}", "list": inside, "tuple": f"({inside})",
        "vector": r"\begin{pmatrix}" + r"\\".join(texts) + r"\end{pmatrix}",
    }[tree.kind]
