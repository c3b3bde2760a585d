from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Evaluation
from processors.code_syntax import CodeSyntax, blocks_of, parses
from tests.support.records import an_exchange, answer


def judged(text: str, **options: float) -> tuple[Evaluation, ...]:
    return tuple(CodeSyntax(**options).process(an_exchange(output_messages=(answer(text),))))


@pytest.mark.parametrize(
    "text",
    [
        "```python\ndef double(x):\n    return 2 * x\n```",
        "Do this:\n\n  ```py\n  print('hi')\n  ```\nand that.",
        "```python3\n%pip install x\nimport x\n```",
        "```python\ndef later(): ...\n```",
        '```json\n{"a": [1, 2, null]}\n```',
        "~~~toml\n[a]\nb = 1\n~~~",
    ],
)
def test_code_that_parses_passes(text: str) -> None:
    (evaluation,) = judged(text)
    assert evaluation == Evaluation("code_syntax", 1.0, "pass")


@pytest.mark.parametrize(
    "text",
    [
        "```python\ndef double(x)\n    return 2 * x\n```",
        "```python\nprint 'hi'\n```",
        '```json\n{"a": 1,}\n```',
        "```json\n{'a': 1}\n```",
        "```toml\na = \n```",
    ],
)
def test_code_that_does_not_parse_fails(text: str) -> None:
    (evaluation,) = judged(text)
    assert (evaluation.score_value, evaluation.score_label) == (0.0, "fail")


@pytest.mark.parametrize(
    "text",
    [
        "No code.",
        "`inline`",
        "```\nwhatever {\n```",
        "```bash\nfor x in; do\n```",
        "```python\n>>> 1 +\n```",
        '```json\n{\n  "a": 1,\n  ...\n}\n```',
        "```python\ndef unfinished(",
    ],
)
def test_what_cannot_be_judged_is_not(text: str) -> None:
    assert judged(text) == ()


def test_the_score_is_the_share_of_blocks_that_parse() -> None:
    text = "```python\nx = 1\n```\nand\n```python\nx = = 1\n```\n"
    (evaluation,) = judged(text, threshold=0.5)
    assert (evaluation.score_value, evaluation.score_label) == (0.5, "pass")
    assert evaluation.explanation == "1 of 2 blocks do not parse: Python"


def test_nesting_without_end_is_no_more_than_a_failure() -> None:
    began = time.perf_counter()
    assert not parses("python", "(" * 19_000)
    assert not parses("json", "[" * 19_000)
    assert time.perf_counter() - began < 5


@given(st.text(), st.sampled_from(["python", "json", "toml"]))
def test_any_text_parses_or_does_not(code: str, language: str) -> None:
    assert parses(language, code) in (True, False)


@given(st.text(alphabet="`~ \n\tpython", max_size=200))
def test_fences_of_any_kind_are_read(text: str) -> None:
    assert all(len(each) == 2 for each in blocks_of(text))
