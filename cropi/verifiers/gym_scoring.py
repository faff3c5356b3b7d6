"""reasoning_gym's own scorers, run inside a worker process only.

Several of them ``eval`` the answer, or hand it to sympy, which does. Both are replaced before
reasoning_gym is imported: a literal is all that ``eval`` reads, and sympy gets nothing but
numbers, operators, single letters and the names of elementary functions.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Scorer = Callable[[str, Mapping[str, Any]], float]
NONSENSE = "qzx"
# sympy's parser compiles the text that ``refuse_code`` has passed.
MAY_COMPILE = True
_FUNCTIONS = "sin cos tan cot sec csc asin acos atan sinh cosh tanh exp log ln sqrt pi Abs"
_NAMES = frozenset(_FUNCTIONS.split())
_REFUSED = re.compile(r"[^\w\s+\-*/^().,%!<>=]|_|\.\s*[A-Za-z]")
# Its scorer evaluates the problem, which is ours, and reads the answer with int().
_EVALUATES_ONLY_ITS_PROBLEM = ("reasoning_gym.arithmetic.bitwise_arithmetic",)


def prepare() -> None:
    """Load reasoning_gym with a harmless sympy. Raises ImportError saying what to install."""
    _disarm_sympy()
    try:
        import reasoning_gym  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{error}; pip install 'cropi[gym]'") from error


def score(job: Mapping[str, Any]) -> float:
    """The best score of the forms in ``answers``, as reasoning_gym gives it (0 to 1).

    Some scorers read whatever they do not understand as "no", and so pay nonsense where that is
    right; there the answer must be the entry's own.
    """
    scorer, answers, entry = _scorer(job["task"]), job["answers"], job["entry"]
    value = max(float(scorer(answer, entry)) for answer in answers)
    if value >= 1.0 and _pays_nonsense(scorer, entry):
        own = str(entry["answer"]).strip().casefold()
        return float(any(answer.casefold() == own for answer in answers))
    return value


def _pays_nonsense(scorer: Scorer, entry: Mapping[str, Any]) -> bool:
    try:
        return float(scorer(NONSENSE, entry)) >= 1.0
    except Exception:  # noqa: BLE001  a scorer that raises at nonsense does not pay it
        return False


@cache
def _scorer(task: str) -> Scorer:
    from reasoning_gym import get_score_answer_fn

    scorer: Scorer = get_score_answer_fn(task)
    for name, module in list(sys.modules.items()):
        if name.startswith("reasoning_gym.") and name not in _EVALUATES_ONLY_ITS_PROBLEM:
            module.eval = ast.literal_eval  # type: ignore[attr-defined]
    return scorer


def _disarm_sympy() -> None:
    import sympy
    from sympy.parsing import sympy_parser

    original = sympy_parser.parse_expr

    def parse_expr(text: str, *arguments: Any, **options: Any) -> Any:
        refuse_code(text)
        return original(text, *arguments, **options)

    sympy_parser.parse_expr = sympy.parse_expr = parse_expr


def refuse_code(text: str) -> None:
    """Raise ValueError unless ``text`` is arithmetic with letters and elementary functions."""
    names = re.findall(r"[^\W\d]\w*", text)
    if _REFUSED.search(text) or any(len(n) > 1 and n not in _NAMES for n in names):
        raise ValueError("the answer is not a plain expression")
