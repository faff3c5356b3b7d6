r"""Completions to grade that look like a training step: groups of several on golds like MATH's.

Each family gives a gold, right answers in other forms, and wrong ones a model could give. A
completion is some lines of reasoning and a box; a few have none. Drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from cropi.types import Prompt

Family = tuple[str, list[str], list[str]]  # gold, right, wrong


class Item(NamedTuple):
    text: str
    prompt: Prompt
    reward: float  # that it deserves


LINES = (
    "Let us call the unknown $x$ and write down what is given.",
    r"Then $x^2 - 3x + 2 = (x-1)(x-2)$, which vanishes at $x = 1$ and $x = 2$.",
    "Wait, I should check the second case as well.",
    r"Adding both sides gives $\frac{a}{b} + \frac{c}{d} = \frac{ad + bc}{bd}$.",
    "By symmetry the other three cases are the same, so there are 4 of them in all.",
    r"Hence $$\sum_{k=1}^{n} k = \frac{n(n+1)}{2}$$ and the claim follows for $n = 12$.",
    "Substituting back, the left side is 17 and the right side is 17, as it must be.",
)
OPEN = ("So the answer is ", "Therefore, the final answer is: ", "Hence ", "**Final answer:** ")


def _integer(r: Random) -> Family:
    n = r.choice([r.randint(1, 30), r.randint(31, 5000)])
    grouped = f"{n:,}".replace(",", "{,}")
    right = [f"x = {n}", rf"{n}\text{{ cm}}", f"{n}.", rf"\text{{{n}}}", grouped]
    return str(n), right, [str(n + 1), str(2 * n + 3), str(-n - 1), rf"\frac{{{n}}}{{7}}", f"{n}.5"]


def _fraction(r: Random) -> Family:
    a, b = r.randint(1, 40), r.choice([43, 47, 49, 64, 81])
    right = [f"{a}/{b}", rf"\dfrac{{{2 * a}}}{{{2 * b}}}", rf"\tfrac{{{a}}}{{{b}}}"]
    return rf"\frac{{{a}}}{{{b}}}", right, [rf"\frac{{{b}}}{{{a}}}", f"{a / b:.2f}1", str(a)]


def _root(r: Random) -> Family:
    a, b = r.choice([4, 8, 9, 11, 12, 15]), r.choice([2, 3, 5, 6, 7, 10])
    right = [rf"\sqrt{{{a * a * b}}}", rf"{a} \sqrt {{{b}}}", rf"{a}\cdot{b}^{{1/2}}"]
    return rf"{a}\sqrt{{{b}}}", right, [rf"{b}\sqrt{{{a}}}", rf"\sqrt{{{a * b}}}", str(a * b)]


def _surd(r: Random) -> Family:
    a, b, c = r.randint(1, 9), r.choice([2, 3, 5, 7]), r.randint(2, 6)
    apart = rf"\frac{{{a}}}{{{c}}}+\frac{{\sqrt{{{b}}}}}{{{c}}}"
    right = [apart, rf"\frac{{\sqrt{{{b}}}+{a}}}{{{c}}}"]
    wrong = [rf"\frac{{{a}-\sqrt{{{b}}}}}{{{c}}}", rf"{a}+\frac{{\sqrt{{{b}}}}}{{{c}}}"]
    return rf"\frac{{{a}+\sqrt{{{b}}}}}{{{c}}}", right, wrong


def _pi(r: Random) -> Family:
    a, b = r.randint(10, 50), r.randint(2, 9)
    right = [rf"\frac{{{a}}}{{{b}}}\pi", rf"{a}\pi/{b}"]
    return rf"\frac{{{a}\pi}}{{{b}}}", right, [rf"\frac{{{a}}}{{{b}}}", rf"\frac{{{b}\pi}}{{{a}}}"]


def _polynomial(r: Random) -> Family:
    a, b = r.randint(1, 9), r.randint(1, 9)
    right = [f"(x+{a})(x+{b})", f"{a * b}+{a + b}x+x^2", f"x(x+{a + b})+{a * b}"]
    wrong = [f"(x-{a})(x+{b})", f"x^2+{a + b}x-{a * b}", f"x^2+{a * b}x+{a + b + 10}"]
    return f"x^2+{a + b}x+{a * b}", right, wrong


def _point(r: Random) -> Family:
    a, b = r.randint(-9, 9), r.randint(10, 30)
    right = [rf"\left({a}, {b}\right)", rf"({a}.0,\,{b})", f"(x,y)=({a},{b})"]
    return f"({a},{b})", right, [f"({b},{a})", f"({a},{-b})", str(a + b)]


def _interval(r: Random) -> Family:
    a, b = r.randint(-9, 0), r.randint(1, 9)
    right = [rf"{a} \le x < {b}", rf"x\in\left[{a}, {b}\right)"]
    return f"[{a},{b})", right, [f"({a},{b})", f"[{a},{b}]", f"({a},{b}]"]


def _roots(r: Random) -> Family:
    a, b = r.randint(-9, 0), r.randint(1, 9)
    right = [f"{b}, {a}", rf"x={a}\text{{ or }}x={b}", rf"\{{{a},{b}\}}"]
    return f"{a},{b}", right, [f"{a}", f"{a},{b + 1}", f"{-a - 1},{b}"]


def _line(r: Random) -> Family:
    a, b = r.randint(2, 9), r.randint(1, 9)
    right = [f"{a}x-y+{b}=0", f"{a}x+{b}", f"y={b}+{a}x"]
    return f"y={a}x+{b}", right, [f"y={b}x+{a + 10}", f"y={a}x-{b}", f"{a}x"]


def _matrix(r: Random) -> Family:
    a, b, c, d = (r.randint(-9, 9) for _ in range(4))
    right = [rf"\begin{{bmatrix}} {a} & {b} \\ {c} & {d} \end{{bmatrix}}"]
    wrong = [rf"\begin{{pmatrix}}{a}&{b}\\{c}&{d + 1}\end{{pmatrix}}"]
    return rf"\begin{{pmatrix}}{a}&{b}\\{c}&{d}\end{{pmatrix}}", right, wrong


def _complex(r: Random) -> Family:
    a, b = r.randint(1, 20), r.randint(2, 20)
    return f"{a}+{b}i", [f"{b}i+{a}", f"{a} + {b} i"], [f"{a}-{b}i", f"{b}+{a + 21}i"]


def _power(r: Random) -> Family:
    a, b = r.choice([2, 3, 5, 6, 7]), r.randint(4, 20)
    right = [str(a**b), rf"{a}\cdot {a}^{{{b - 1}}}"]
    return f"{a}^{{{b}}}", right, [f"{a}^{{{b + 1}}}", str(a * b)]


def _trigonometry(r: Random) -> Family:
    angle, a = r.choice([30, 45, 60]), 2 * r.randint(1, 20) + 1
    root = {30: "", 45: r"\sqrt{2}", 60: r"\sqrt{3}"}[angle]
    right = [rf"{a}\sin {angle}^\circ", rf"\frac{{{a}}}{{2}}{root}"]
    return rf"\frac{{{a}{root}}}{{2}}", right, [str(a), rf"{a}\cos 20^\circ"]


def _percent(r: Random) -> Family:
    n = r.randint(1, 99)
    return rf"{n}\%", [f"{n}%", str(n)], [f"{n + 1}\\%", f"0.{n:02d}1"]


def _word(r: Random) -> Family:
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    r.shuffle(days)
    return rf"\text{{{days[0]}}}", [days[0], rf"\textbf{{{days[0].lower()}}}"], days[1:4]


def _choice(r: Random) -> Family:
    letters = list("ABCDE")
    r.shuffle(letters)
    a, b, c = letters[:3]
    return a, [f"({a})", rf"\textbf{{({a})}}", rf"\text{{{a}}}"], [b, f"({c})"]


FAMILIES: dict[Callable[[Random], Family], int] = {
    _integer: 50, _fraction: 12, _root: 5, _surd: 3, _pi: 4, _polynomial: 6, _point: 4,
    _interval: 3, _roots: 3, _line: 2, _matrix: 1, _complex: 1, _power: 2, _trigonometry: 1,
    _percent: 1, _word: 1, _choice: 1,
}


def mixed(prompts: int, group: int, seed: int = 0) -> list[Item]:
    """``group`` completions for each of ``prompts`` questions; each gold with its own accuracy."""
    r = Random(seed)
    items = []
    for number in range(prompts):
        gold, right, wrong = r.choices(list(FAMILIES), list(FAMILIES.values()))[0](r)
        prompt = Prompt.create(f"question {number}", [gold], source="bench")
        accuracy = r.random()
        for _ in range(group):
            is_right = r.random() < accuracy
            answer = r.choice([gold, gold, *right] if is_right else wrong)
            items.append(_item(answer, prompt, is_right, r))
    return items


def plain_numbers(count: int, seed: int = 0, *, reasoning: bool = True) -> list[Item]:
    """Integers and decimals, no pair twice; half of the answers are right.

    Without ``reasoning`` a completion is its last line.
    """
    r = Random(seed)
    items = []
    for number in range(count):
        gold = f"{number}" if number % 4 else f"{number}.25"
        is_right = r.random() < 0.5
        answer = gold if is_right else f"{number + r.randint(1, 9)}"
        prompt = Prompt.create(f"question {number}", [gold], source="bench")
        item = _item(answer, prompt, is_right, r)
        last_line = item.text.rpartition("\n")[2]
        items.append(item if reasoning else item._replace(text=last_line))
    return items


def _item(answer: str, prompt: Prompt, is_right: bool, r: Random) -> Item:
    lines = "\n\n".join(r.choice(LINES) for _ in range(r.randint(4, 16)))
    if r.random() < 0.04:
        return Item(lines, prompt, 0.0)  # no box
    text = f"{lines}\n\n{r.choice(OPEN)}$\\boxed{{{answer}}}$."
    return Item(text, prompt, float(is_right))
