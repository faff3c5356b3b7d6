r"""Expressions in LaTeX, or as people type them, read into trees.

Reads what an answer is made of: numbers, letters with indices, ``+ - * / ^ !``, fractions, roots,
brackets, absolute values, floors, binomials, elementary functions, products without a sign. What
could mean two things (``x/2y``, ``2 3``) or is not known (``\int``) is refused, never guessed.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from cropi.verifiers.numbers import MOST_DIGITS, Oversize
from cropi.verifiers.tree import ONE, Node, add, constant, multiply, negate

DEEPEST = 50
MOST_TOKENS = 800

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<command>\\[A-Za-z]+|\\[{}|])"
    r"|(?P<name>[A-Z]{2,}|[A-Za-z])(?P<prime>'*)|(?P<sign>[-+*/^_!(){}\[\]|,]))"
)
_TIMES = ("*", r"\cdot", r"\times", r"\ast")
_OVER = ("/", r"\div")
_LETTERS = frozenset(
    rf"\{name}" for name in
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi "
    "rho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon "
    "Phi Psi Omega ell hbar".split()
)
_SAME_LETTER = {r"\varepsilon": r"\epsilon", r"\varphi": r"\phi", r"\vartheta": r"\theta"}
_TRIGONOMETRIC = ("sin", "cos", "tan", "cot", "sec", "csc")
_FUNCTIONS = {
    **{rf"\{n}": n for n in (*_TRIGONOMETRIC, "sinh", "cosh", "tanh", "exp", "gcd", "min", "max")},
    **{rf"\arc{n}": f"a{n}" for n in ("sin", "cos", "tan")},
    r"\ln": "log", r"\log": "log", r"\lg": "log", r"\det": "det",
}
# Names of things, not operations on numbers.
_FIGURES = tuple(
    rf"\{name}" for name in
    "triangle angle overline overrightarrow overleftrightarrow widehat hat bar odot square".split()
)
_OTHERS = (r"\ldots", r"\pi", r"\infty", r"\frac", r"\sqrt", r"\binom")
_BRACKETS = {
    "(": ")", "{": "}", "[": "]", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil",
    r"\lvert": r"\rvert", r"\{": r"\}",
}
_ROUNDING = {r"\lfloor": "floor", r"\lceil": "ceil", r"\lvert": "abs"}


class NotUnderstood(ValueError):
    """The text is not an expression that can be read in one way only."""


@lru_cache(maxsize=16384)
def parse(text: str, angles: bool = False) -> Node:
    r"""The tree of canonical text. ``^\circ`` is an angle in a function, or everywhere if asked.

    Raises NotUnderstood, also when nested deeper than 50 or longer than 800 tokens, and
    Oversize for a number of more than 2,000 digits.
    """
    reader = _Reader(_tokens(text), angles)
    node = reader.sum()
    if reader.peek():
        raise NotUnderstood(f"{reader.peek()!r} follows the expression")
    return node


def understood(text: str, angles: bool = False) -> Node | None:
    """The same, with None for what is not understood."""
    try:
        return parse(text, angles)
    except NotUnderstood:
        return None


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or len(found) == MOST_TOKENS:
            raise NotUnderstood(f"{text[at : at + 10]!r} is no part of an expression")
        if match["number"] and len(match["number"]) > MOST_DIGITS:
            raise Oversize("a long number")
        found.append(match.group().strip())
        at = match.end()
    return found


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: list[str], angles: bool) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._bars = 0  # absolute values opened with |
        self._in_angle = angles  # whether degrees are an angle here, or only a unit

    def peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def _take(self, expected: str | None = None) -> str:
        token = self.peek()
        if not token or (expected is not None and token != expected):
            raise NotUnderstood(f"{expected or 'more'} is missing")
        self._at += 1
        return token

    def sum(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotUnderstood("nested too deep")
        terms = [self._product()]
        while self.peek() in ("+", "-"):
            negative = self._take() == "-"
            term = self._product()
            terms.append(negate(term) if negative else term)
        self._depth -= 1
        return add(*terms)

    def _product(self) -> Node:
        product, divided, divisions = self._signed(), False, 0
        while True:
            token = self.peek()
            if token in _TIMES:
                self._take()
                product, divided = multiply(product, self._signed()), False
            elif token in _OVER:
                self._take()
                product, divided = Node("divide", (product, self._signed())), True
                divisions += 1
                if divisions > DEEPEST:
                    raise NotUnderstood("nested too deep")
            elif self._starts_factor(token):
                digits = token[0].isdigit() or token[0] == "."
                if divided or (digits and self.peek(-1) not in (")", "!")):
                    raise NotUnderstood("a product without a sign that could mean two things")
                product = multiply(product, self._power())
            else:
                return product

    def _starts_factor(self, token: str) -> bool:
        if token == "|":
            return self._bars == 0
        return bool(token) and (
            token[0].isalnum() or token[0] == "." or token in _BRACKETS or token in _FUNCTIONS
            or token in _LETTERS or token in _FIGURES or token in _OTHERS
        )

    def _signed(self) -> Node:
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self._take() == "-"
        power = self._power()
        return negate(power) if negative else power

    def _power(self) -> Node:
        return self._raised(self._atom())

    def _raised(self, base: Node) -> Node:
        while True:
            token = self.peek()
            if token == "!":
                self._take()
                if self.peek() == "!":
                    self._take()
                    base = Node("call", (base,), "double factorial")
                else:
                    base = Node("factorial", (base,))
                if self.peek() == "!":
                    raise NotUnderstood("a factorial of a factorial")
            elif token == "^" and self.peek(1) == r"\circ":
                self._at += 2
                base = Node("degrees", (base,)) if self._in_angle else base
            elif token == "^" and self.peek(1) == "{" and self.peek(2) == r"\circ":
                self._at += 3
                self._take("}")
                base = Node("degrees", (base,)) if self._in_angle else base
            elif token == "^":
                self._take()
                return Node("power", (base, self._exponent()))
            else:
                return base

    def _exponent(self) -> Node:
        """What stands raised: a group, or one factor with its sign and its own exponents."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotUnderstood("nested too deep")
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self._take() == "-"
        exponent = self._raised(self._atom())
        self._depth -= 1
        return negate(exponent) if negative else exponent

    def _atom(self) -> Node:
        token = self._take()
        if token[0].isdigit() or token[0] == ".":
            return self._number(token)
        if token[0].isalpha():
            return self._letter(token)
        if token in _LETTERS:
            return self._letter(_SAME_LETTER.get(token, token))
        if token == r"\ldots":
            return Node("letter", name=token)
        if token == r"\text":
            return Node("letter", name=self._lone_letter())
        if token in _FIGURES:
            return Node("letter", name=f"{token} {self._points()}")
        if token in (r"\pi", r"\infty"):
            return Node("constant", name="pi" if token == r"\pi" else "infinity")
        if token == r"\frac":
            return Node("divide", (self._braced(), self._braced()))
        if token == r"\binom":
            return Node("call", (self._braced(), self._braced()), "binomial")
        if token == r"\sqrt":
            index = self._group("[") if self.peek() == "[" else constant(2)
            return Node("root", (self._braced(), index))
        if token in _FUNCTIONS:
            return self._call(token)
        if token == "|":
            self._bars += 1
            inside = self.sum()
            self._take("|")
            self._bars -= 1
            return Node("call", (inside,), "abs")
        if token in _BRACKETS and token != r"\{":
            self._at -= 1
            inside = self._group(token)
            return Node("call", (inside,), _ROUNDING[token]) if token in _ROUNDING else inside
        raise NotUnderstood(f"{token!r} is not known")

    def _number(self, token: str) -> Node:
        if self.peek() == r"\overline" or self.peek() == "_":
            raise NotUnderstood("a number in a notation of its own")
        whole = constant(Fraction(token.rstrip(".")))
        if self.peek() == r"\frac":
            return self._mixed(whole)
        over, sign, under = (self.peek(ahead) for ahead in range(3))
        if token.isdigit() and over.isdigit() and sign == "/" and under.isdigit():
            return self._typed_mixed(whole, int(over), int(under))
        return whole

    def _typed_mixed(self, whole: Node, over: int, under: int) -> Node:
        """``3 2/5``, with a proper fraction only."""
        self._at += 3
        if not 0 < over < under or self.peek() in ("^", "!", "/"):
            raise NotUnderstood("neither a mixed number nor a product")
        return add(whole, constant(Fraction(over, under)))

    def _mixed(self, whole: Node) -> Node:
        """``3\frac25`` is a mixed number, ``3\frac{x}{5}`` a product; ``3\frac72`` is neither."""
        start = self._at
        fraction = self._atom()
        over, under = fraction.parts
        plain = all(
            p.operation == "number" and p.value.denominator == 1 for p in (whole, over, under)
        )
        if plain and self.peek() != "^":
            if over.value >= under.value:
                raise NotUnderstood("neither a mixed number nor a product")
            return add(whole, fraction)
        self._at = start
        return whole

    def _letter(self, token: str) -> Node:
        name = token
        if self.peek() == "_":
            self._take()
            name += "_" + self._index()
        if name in ("e", "i"):
            return Node("constant", name=name)
        if name in ("f", "g", "h") and self.peek() == "(":
            start = self._at
            self._group("(")
            name += "".join(self._tokens[start : self._at])  # unknown: only the same text is equal
        return Node("letter", name=name)

    def _lone_letter(self) -> str:
        """What text holds when it is one letter: an option, a name; never the unit of a number."""
        name = self._index()
        if len(name) != 1 or not name.isalpha() or self._at != 4:
            raise NotUnderstood("words")
        return name

    def _points(self) -> str:
        """The name of a figure: a group, or its points one after the other."""
        name = self._index()
        while self.peek()[:1].isupper() or (name[:1].isupper() and self.peek() in ("_", "'")):
            token = self._take()
            name += f"_{self._index()}" if token == "_" else token
        return name

    def _index(self) -> str:
        token = self._take()
        if token != "{":
            return token
        start, depth = self._at, 1
        while depth:
            inside = self._take()
            depth += (inside == "{") - (inside == "}")
        return "".join(self._tokens[start : self._at - 1])

    def _call(self, token: str) -> Node:
        name = _FUNCTIONS[token]
        base: Node | None = None
        if name == "log" and token != r"\ln":
            base = constant(10)
            if self.peek() == "_":
                self._take()
                base = self._braced() if self.peek() == "{" else self._first_digit_or_atom()
        raised: Node | None = None
        if self.peek() == "^":
            self._take()
            raised = self._exponent()
            if name in _TRIGONOMETRIC and raised == negate(ONE):
                if name not in ("sin", "cos", "tan"):
                    raise NotUnderstood("an inverse function without a name")
                name, raised = f"a{name}", None
        arguments = self._arguments(name)
        if name in ("gcd", "min", "max"):
            value = Node("call", arguments, name)
        elif len(arguments) != 1 or name == "det":
            raise NotUnderstood(f"{name} of several things")
        elif name == "exp":
            value = Node("power", (Node("constant", name="e"), arguments[0]))
        else:
            value = Node("call", arguments, name)
        if base is not None:
            value = Node("divide", (value, Node("call", (base,), "log")))
        return value if raised is None else Node("power", (value, raised))

    def _first_digit_or_atom(self) -> Node:
        r"""An index without braces is one sign to TeX: ``\log_28`` is of 8 to the base 2."""
        token = self.peek()
        if token.isdigit() and len(token) > 1:
            self._tokens[self._at] = token[1:]
            return constant(int(token[0]))
        return self._atom()

    def _arguments(self, name: str) -> tuple[Node, ...]:
        outer, self._in_angle = self._in_angle, self._in_angle or name in _TRIGONOMETRIC
        try:
            if self.peek() == "(" or (self.peek() == "{" and name not in ("min", "max")):
                closing = _BRACKETS[self._take()]
                found = [self.sum()]
                while self.peek() == ",":
                    self._take()
                    found.append(self.sum())
                self._take(closing)
                if self.peek() == "^" and self.peek(1) == r"\circ":
                    found = [self._raised(*found)]
                return tuple(found)
            argument = self._power()
            while self._starts_factor(self.peek()) and self.peek() not in (*_FUNCTIONS, "(", "["):
                if self.peek()[0].isdigit():
                    raise NotUnderstood("a product without a sign that could mean two things")
                argument = multiply(argument, self._power())
            return (argument,)
        finally:
            self._in_angle = outer

    def _braced(self) -> Node:
        return self._group("{")

    def _group(self, bracket: str) -> Node:
        self._take(bracket)
        bars, self._bars = self._bars, 0
        inside = self.sum()
        self._take(_BRACKETS[bracket])
        self._bars = bars
        return inside
