"""Where answers stand. Numbers are those of reference/verifier.md section 2."""

from __future__ import annotations

import time

import pytest

from cropi.boxed import last_boxed
from cropi.verifiers.extraction import Way, extract, trim


@pytest.mark.parametrize(("text", "answer"), [
    (r"so \boxed{\frac{2}{7}} it is", r"\frac{2}{7}"),  # 8
    (r"try \boxed{2}... no, \boxed{9}", "9"),  # 9
    (r"\fbox{17}", "17"),  # 10
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    (r"\boxed{\left\{ x \mid x > 0 \right\}}", r"\left\{ x \mid x > 0 \right\}"),
    (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
    (r"\boxed {4}", "4"),
    (r"\boxed 31 is it", "31"),
    (r"\\boxed{5}", "5"),
    ("line\\\\\n\\boxed{6}", "6"),
    (r"\boxed{a \text{ and } \fbox{b}}", r"a \text{ and } \fbox{b}"),
    (r"} stray { \boxed{3}", "3"),
    (r"\boxed{\frac12}}", r"\frac12"),
    (r"\boxed{}", ""),
    (r"\boxed{8}, and then \boxed{\frac{1}{", None),  # cut short: not the earlier box
    (r"\boxed{\frac{1}{2}$.", None),
    (r"\boxedness{4}", None),
    ("no box", None),
    ("", None),
])
def test_last_box(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


@pytest.mark.parametrize(("way", "text", "answer"), [
    ("hash", "so 3*6.\n#### 18", "18"),
    ("hash", "####18", "18"),
    ("hash", "#### **18**", "18"),
    ("hash", "#### $18", "$18"),
    ("hash", "#### 1,234.", "1,234"),
    ("hash", "#### 3/4\nDone.", "3/4"),
    ("hash", "#### 5\nno, wait\n#### 6", "6"),
    ("hash", "18", None),
    ("tag", "<answer> 4 </answer><|im_end|>", "4"),  # 19
    ("tag", "<answer>4</answer> or <answer>5</answer>", "5"),
    ("tag", "<answer>4", None),
    ("stated", "**Answer: 73**", "73"),  # 20
    ("stated", "Final Answer: **31**", "31"),
    ("stated", r"The answer is $\frac{1}{2}$. I hope so.", r"\frac{1}{2}"),
    ("stated", "No conclusion.", None),
    ("last_number", "He pays 5 dollars, then 1,250.50 dollars.", "1,250.50"),
    ("last_number", "It fell to -4.", "-4"),
    ("last_number", "10-8", "8"),
    ("last_number", "x = -.5", "-.5"),
    ("last_number", "about 3/4 of them", "3/4"),
    ("last_number", r"that is \frac{3}{4}.", r"\frac{3}{4}"),
    ("last_number", "H2O and A4", None),
    ("last_number", "$7", "7"),
    ("last_number", "so 20% of it", "20%"),
    ("whole", "  17 ", "17"),
    ("whole", "   ", None),
    ("boxed", "no box, but 5", None),  # 11
    ("boxed", r"\boxed{ }", None),
    ("boxed", r"<think>\boxed{5}</think> unsure", None),  # 11
    ("boxed", r"<think>\boxed{5}</think> so \boxed{6}", "6"),
    ("boxed", r"\boxed{4}<think> \boxed{5}", "4"),
    ("boxed", r"it is \boxed{31.}", "31"),
])
def test_each_way(way: Way, text: str, answer: str | None) -> None:
    assert extract(text, [way]) == answer


def test_ways_are_tried_in_order() -> None:
    text = "#### 3\nor \\boxed{4}, maybe 5"
    assert extract(text, ["boxed", "hash"]) == "4"
    assert extract(text, ["hash", "boxed"]) == "3"
    assert extract("just 5", ["boxed", "hash", "last_number"]) == "5"
    assert extract(r"\boxed{} or 5", ["boxed", "last_number"]) is None


def test_an_answer_already_extracted_stays() -> None:
    for answer in ["17", r"\frac{1}{2}", r"\{1,2\}", "(2,5]", "-3.5", "5!"]:  # 12
        once = extract(rf"\boxed{{{answer}}}", ["boxed", "whole"])
        assert once == answer
        assert extract(once, ["boxed", "whole"]) == answer


@pytest.mark.parametrize(("text", "trimmed"), [
    ("$5$", "5"), ("$$5$$", "5"), (r"\(5\)", "5"), (r"\[ 5 \]", "5"), ("**5.**", "5"),
    ("`5`", "5"), (" 5 . ", "5"), ("5;", "5"), ("5!", "5!"), ("$3$ and $4$", "$3$ and $4$"),
    ("[1,2]", "[1,2]"), ("$", "$"), ("", ""),
])
def test_trim(text: str, trimmed: str) -> None:
    assert trim(text) == trimmed


@pytest.mark.parametrize("text", [
    r"\boxed{" * 20000, "{" * 100000, "5 " * 50000, "#### " * 20000, "<answer>" * 12000,
    "9" * 100000, "answer is " * 10000, "\\" * 100000, "$" * 100000, "1," * 50000,
])
def test_hostile_text_takes_linear_time(text: str) -> None:
    began = time.process_time()
    extract(text, ["boxed", "tag", "hash", "stated", "last_number", "whole"])
    assert time.process_time() - began < 2.0
