"""What every evaluator promises, whatever it looks at."""

from __future__ import annotations

import dataclasses
import re
from copy import deepcopy
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.contracts import Processor
from pipeline.inputs import INPUTS
from pipeline.records import Exchange, Message, Part, PartType, Timing, Usage
from processors import PROCESSORS
from processors.redact import Redact
from tests.support.records import an_exchange

CANARY = "canary7 c4nary@nest.example"
TEXT = st.one_of(
    st.none(),
    st.text(max_size=40),
    st.sampled_from(
        [CANARY, f"I'm sorry, but I cannot help with {CANARY}.", f'{{"{CANARY}": "{CANARY}"}}', f"{CANARY} " * 40]
    ),
    st.sampled_from(["\ud800", "{", "[" * 3000, "```json\n{}\n```", "", "0" * 500]),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    TEXT | st.booleans() | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just(CANARY), inner, max_size=3)
    ),
    max_leaves=6,
)
SCHEMA = JSON | st.sampled_from(
    [
        {"type": "object", "properties": {CANARY: {"type": "integer"}}},
        {"additionalProperties": {"type": "integer"}},
        {"enum": [CANARY]},
        {"$ref": "file:///etc/hostname"},
        {"type": "nonsense"},
        True,
        False,
    ]
)
PARTS = st.lists(
    st.builds(
        Part, type=st.sampled_from(get_args(PartType)), content=TEXT, name=TEXT, arguments=JSON, response=JSON, uri=TEXT
    ),
    max_size=3,
).map(tuple)
MESSAGES = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["user", "assistant", "tool"]),
        parts=PARTS,
        finish_reason=st.sampled_from([None, "stop", "length", "content_filter", "refusal", "tool_call", "error"]),
    ),
    max_size=3,
).map(tuple)
TIME = st.none() | st.integers(0, 2**62)
TOOLS = st.lists(
    st.one_of(JSON, st.fixed_dictionaries({"type": st.just("function"), "name": TEXT, "parameters": SCHEMA})),
    max_size=3,
).map(tuple)
EXCHANGES = st.builds(
    an_exchange,
    system_instructions=PARTS,
    input_messages=MESSAGES,
    output_messages=MESSAGES,
    tool_definitions=TOOLS,
    parameters=st.dictionaries(st.text(max_size=4), JSON, max_size=2),
    output_type=st.sampled_from([None, "json", "text"]),
    output_schema=SCHEMA,
    usage=st.builds(Usage, output_tokens=st.none() | st.integers(0, 2**62)),
    timing=st.builds(
        Timing,
        started_at=st.integers(0, 2**62),
        sent_at=TIME,
        first_byte_at=TIME,
        ended_at=st.integers(0, 2**62),
        first_chunk_at=TIME,
    ),
    complete=st.booleans(),
    error_type=st.sampled_from([None, "client_disconnect", "upstream_reset", "content_filter", "429"]),
    error_message=TEXT,
    operation=st.sampled_from([None, "chat"]),
    content=st.sampled_from(["full", "redacted", "off"]),
    findings=st.sampled_from([{}, {"output": {"EMAIL": 2}}, {"input": {"CARD": 1}, "output": {"CARD": 1}}]),
)
QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))

every = pytest.mark.parametrize(("kind", "processor"), PROCESSORS.items())


@every
def test_it_is_built_from_defaults_and_follows_the_protocol(kind: str, processor: type[Processor]) -> None:
    assert isinstance(processor(), Processor)
    assert set(processor.requires) <= set(INPUTS)


@every
def test_its_name_and_options_are_snake_case(kind: str, processor: Any) -> None:
    names = [kind, *(option.name for option in dataclasses.fields(processor))]
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert re.sub(r"(?<!^)(?=[A-Z])", "_", processor.__name__).lower() == kind


@every
def test_it_says_what_it_is_for_in_one_line(kind: str, processor: Any) -> None:
    assert re.fullmatch(r"[A-Z][^\n]+\.", processor.__doc__)


@every
def test_it_is_frozen_and_has_slots(kind: str, processor: Any) -> None:
    instance = processor()
    option = dataclasses.fields(processor)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(instance, option, None)
    assert not hasattr(instance, "__dict__")


@every
@QUICK
@given(exchange=EXCHANGES)
def test_it_judges_anything_without_raising_changing_or_quoting(
    kind: str, processor: type[Processor], exchange: Exchange
) -> None:
    before = deepcopy(exchange)
    for evaluation in processor().process(exchange):
        assert evaluation.name.split(".")[0] == kind
        assert evaluation.score_value is not None
        assert evaluation.score_label in {"pass", "fail", None}
        assert "canary" not in (evaluation.explanation or "") or _named_by_the_schema(exchange)
        assert len(evaluation.explanation or "") <= 200
        msgspec.json.encode(evaluation)
    assert repr(exchange) == repr(before)


def _named_by_the_schema(exchange: Exchange) -> bool:
    """A path may hold the client's own property names: they are the schema's words, not the answer's."""
    return "'properties': {'canary" in repr((exchange.output_schema, exchange.tool_definitions))


@QUICK
@given(exchange=EXCHANGES, content=st.sampled_from(["full", "redacted", "off"]))
def test_redaction_takes_anything_without_raising_or_changing_it(exchange: Exchange, content: Any) -> None:
    before = repr(exchange)
    masked = Redact(content=content).redact(exchange)
    assert repr(exchange) == before
    if content == "full":
        assert masked.output_messages == exchange.output_messages or "nan" in before
    else:
        assert "c4nary@nest.example" not in repr(masked)
