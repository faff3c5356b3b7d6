"""``cropi verify CASES.jsonl``: what a verifier says of anybody's cases, one JSON object a line."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cropi.composition import compose
from cropi.configuration import part_of
from cropi.contracts import Verifier
from cropi.outcome import user_modules_are_importable
from cropi.runtime.errors import DataError
from cropi.types import Prompt, Verdict

BATCH = 256  # lines that are graded together
CHUNK = 2**20  # bytes
# With none of these chosen the verifier is math: the default benchmark's own is for its digits.
CHOOSES_A_VERIFIER = ("verifier=", "benchmark=", "experiment=", "debug=")


@dataclass(frozen=True)
class Case:
    """One line: a completion, and the golds it is held against."""

    id: str | int | float
    prediction: str
    prompt: Prompt


def main(cases: Path, overrides: Sequence[str], config_dir: Path | None) -> int:
    """Print a verdict for every case, in order, as soon as its batch is graded.

    Raises ConfigError for a verifier that cannot be built, and DataError with file and line for a
    case that cannot be read: for a regular file before anything is graded.
    """
    user_modules_are_importable()
    if not any(override.startswith(CHOOSES_A_VERIFIER) for override in overrides):
        overrides = ["verifier=math", *overrides]
    verifier = part_of(compose(overrides, config_dir=config_dir), "verifier", Verifier)  # type: ignore[type-abstract]
    with ExitStack() as stack:
        stack.callback(verifier.close)
        if str(cases) == "-":
            name, source = "standard input", sys.stdin.buffer
        else:
            name, source = str(cases), stack.enter_context(_opened(cases))
            if cases.is_file():  # a pipe cannot be read twice
                for _ in read_cases(source, name):
                    pass
                source.seek(0)
        for batch in read_cases(source, name):
            verdicts = verifier.verify_all([(case.prediction, case.prompt) for case in batch])
            for case, verdict in zip(batch, verdicts, strict=True):
                print(json.dumps(row(case, verdict), allow_nan=False))
            sys.stdout.flush()
    return 0


def row(case: Case, verdict: Verdict) -> dict[str, Any]:
    """What is printed of one case; ``parts`` only where there are any."""
    found = {
        "id": case.id,
        "reward": verdict.reward,
        "status": verdict.status,
        "method": verdict.method,
        "extracted": verdict.extracted,
        "ms": round(verdict.milliseconds, 3),
    }
    return found | ({"parts": dict(verdict.parts)} if verdict.parts else {})


def read_cases(source: BinaryIO, name: str) -> Iterator[list[Case]]:
    """Batches of what is there to be read: whoever feeds a pipe slowly is answered at once."""
    number = 0
    for lines in _lines(source):
        batch = []
        for line in lines:
            number += 1
            if line.strip():
                try:
                    batch.append(_case(line, f"{name}, line {number}"))
                except DataError:
                    yield batch  # what stands before the mistake is answered
                    raise
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _lines(source: BinaryIO) -> Iterator[Iterable[bytes]]:
    rest = [b""]
    while chunk := source.read1(CHUNK):  # type: ignore[attr-defined]
        *whole, last = chunk.split(b"\n")
        if whole:
            yield [b"".join([*rest, whole[0]]), *whole[1:]]
            rest = []
        rest.append(last)
    yield [b"".join(rest)]


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _case(line: bytes, where: str) -> Case:
    try:
        fields = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse)
    except RecursionError as error:
        raise DataError(f"{where}: is nested too deeply") from error
    except ValueError as error:  # of UTF-8, of JSON, of a number with too many digits
        reason = getattr(error, "msg", error)
        raise DataError(f"{where}: is not a line of JSON: {reason}") from error
    if not isinstance(fields, dict):
        raise DataError(f"{where}: is {_kind(fields)}; a case has id, gold and prediction")
    for key, (fits, wanted) in FIELDS.items():
        if key not in fields:
            raise DataError(f"{where}: has no {key}; a case has id, gold and prediction")
        if not fits(fields[key]):
            raise DataError(f"{where}: {key} is {_kind(fields[key])}; it must be {wanted}")
    metadata = fields.get("metadata", {})
    if not isinstance(metadata, dict):
        raise DataError(f"{where}: metadata is {_kind(metadata)}; it must be an object")
    golds = fields["gold"] if isinstance(fields["gold"], list) else [fields["gold"]]
    prompt = Prompt(where, "", tuple(golds), "cases", metadata=metadata)
    return Case(fields["id"], fields["prediction"], prompt)


def _is_id(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _are_golds(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str) for item in items)


FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (_is_id, "a text or a number"),
    "gold": (_are_golds, "a text, or a list of texts of which any is right"),
    "prediction": (lambda value: isinstance(value, str), "a text"),
}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "null" if value is None else f"the number {value}")
