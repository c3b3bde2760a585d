from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.build import build_one
from pipeline.errors import ConfigError
from pipeline.records import Capture, Exchange, Message, Part
from processors.context import SOURCES, Context
from tests.processors.test_contract import EXCHANGES, JSON
from tests.support.records import a_capture, an_exchange, answer

QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))


def found(exchange: Exchange, capture: Capture | None = None, **options: Any) -> tuple[str | None, list[str]]:
    extracted = Context(**options).extract(capture or a_capture(), exchange)
    return extracted.context_source, list(extracted.context)


def asking(*messages: Message, **changes: Any) -> Exchange:
    return an_exchange(input_messages=messages, **changes)


def user(text: str) -> Message:
    return Message("user", (Part("text", content=text),))


def calling(identity: str, name: str) -> Message:
    return Message("assistant", (Part("tool_call", id=identity, name=name, arguments={}),))


def result(response: Any, identity: str = "1", **changes: Any) -> Message:
    return Message("tool", (Part("tool_call_response", id=identity, response=response, **changes),))


def in_header(value: str, name: str = "X-Sidelight-Context") -> Capture:
    return a_capture(request_headers=((name, value),))


EVERYWHERE = asking(
    user("<context>delimited</context>"),
    result("a tool said"),
    claims={"metadata.context": "in metadata"},
    output_messages=(Message("assistant", (Part("text", content="So.", citations=({"text": "cited"},)),)),),
)
BODY = in_header("in%20a%20header")
BODY = msgspec.structs.replace(BODY, request_body=b'{"docs":["in the body"]}')


@pytest.mark.parametrize(
    ("sources", "source", "text"),
    [
        (SOURCES, "header", "in a header"),
        (SOURCES[1:], "metadata", "in metadata"),
        (SOURCES[2:], "tools", "a tool said"),
        (SOURCES[3:], "citations", "cited"),
        (SOURCES[4:], "delimiters", "delimited"),
        (SOURCES[5:], "json_path", "in the body"),
        (("citations", "header"), "citations", "cited"),
    ],
)
def test_the_first_source_that_has_any_is_taken(sources: Any, source: str, text: str) -> None:
    assert found(EVERYWHERE, BODY, sources=sources, json_path="$.docs") == (source, [text])


def test_without_context_the_exchange_is_the_same() -> None:
    exchange = an_exchange()
    assert Context().extract(a_capture(), exchange) is exchange
    assert Context(sources=()).extract(BODY, EVERYWHERE) is EVERYWHERE


@pytest.mark.parametrize("operation", [None, "embeddings", "rerank"])
def test_only_answers_have_a_context(operation: str | None) -> None:
    assert found(an_exchange(operation=operation), BODY) == (None, [])


# -- header and metadata ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("plain text", ["plain text"]),
        (quote("Zoë\nlikes tea"), ["Zoë\nlikes tea"]),
        ("base64:" + b64encode("Zoë\nlikes tea".encode()).decode(), ["Zoë\nlikes tea"]),
        (quote(json.dumps(["one", "two"])), ["one", "two"]),
        ("base64:" + b64encode(b'["one","two"]').decode(), ["one", "two"]),
        ("[1] a footnote", ["[1] a footnote"]),
        ("[1, 2]", ["[1, 2]"]),
        ("base64:x", []),
        ("base64:Ü", []),
        (" ", []),
        ("[]", []),
    ],
)
def test_a_header_holds_percent_encoded_text_or_base64_one_text_or_an_array(value: str, texts: list[str]) -> None:
    assert found(an_exchange(), in_header(value), sources=("header",)) == ("header" if texts else None, texts)


def test_a_header_may_come_several_times_and_go_by_other_names() -> None:
    capture = a_capture(request_headers=(("X-Docs", "one"), ("x-docs", "two"), ("X-Sidelight-Context", "three")))
    assert found(an_exchange(), capture, headers=("X-DOCS",)) == ("header", ["one", "two"])
    assert Context(headers=("X-DOCS",)).headers_read == {"x-docs"}
    assert Context(sources=("tools",)).headers_read == frozenset()


def test_metadata_is_read_by_its_keys() -> None:
    exchange = an_exchange(claims={"metadata.docs": '["one","two"]', "metadata.context": "three", "user": "ann"})
    assert found(exchange, metadata=("docs", "context")) == ("metadata", ["one", "two", "three"])


# -- tools and citations ----------------------------------------------------------------------------------------------


def test_results_of_all_tools_are_context_in_their_order_and_once() -> None:
    exchange = asking(user("?"), result("one"), result({"rows": [1]}), result("one"), result(None), result(""))
    assert found(exchange) == ("tools", ["one", '{"rows":[1]}'])


def test_a_tool_that_failed_gave_no_context() -> None:
    assert found(asking(user("?"), result("no such file", is_error=True))) == (None, [])


def test_only_the_tools_that_are_named_count() -> None:
    exchange = asking(calling("a", "search"), calling("b", "clock"), result("12:00", "b"), result("Oslo is wet.", "a"))
    assert found(exchange, tools=("search",)) == ("tools", ["Oslo is wet."])
    assert found(asking(result("wet", name="search")), tools=("search",)) == ("tools", ["wet"])
    assert found(exchange, tools=("other",)) == (None, [])


@pytest.mark.parametrize(
    ("said", "texts"),
    [
        ({"type": "file_search", "results": [{"filename": "a.md", "text": "one"}, {"text": "two"}]}, ["one", "two"]),
        ({"type": "web_fetch_tool_result", "content": {"content": {"source": {"data": "page"}}}}, ["page"]),
        ({"type": "mcp_call", "output": "said"}, ["said"]),
        ({"type": "web_search_tool_result", "content": [{"title": "t", "url": "u"}]}, []),
        ({"type": "code_interpreter", "output": "42"}, []),
        ({"type": 7, "text": "x"}, []),
        ("text", []),
        (None, []),
    ],
)
def test_what_the_providers_own_tools_retrieved_is_context(said: Any, texts: list[str]) -> None:
    part = Part("server_tool_call_response", id="1", server_tool_call_response=said)
    exchange = an_exchange(output_messages=(Message("assistant", (part, Part("text", content="So."))),))
    assert found(exchange) == ("tools" if texts else None, texts)


def test_a_deeply_nested_answer_of_a_tool_is_read_to_a_limit() -> None:
    nested: Any = {"text": "deep"}
    for _ in range(100):
        nested = [nested]
    part = Part("server_tool_call_response", server_tool_call_response={"type": "search", "a": nested, "text": "flat"})
    assert found(an_exchange(output_messages=(Message("assistant", (part,)),))) == ("tools", ["flat"])


def test_citations_are_context_as_far_as_they_have_text() -> None:
    cited = Part("text", content="So.", citations=({"text": "one"}, {"title": "t"}, {"text": "two"}, {"text": 7}, "x"))
    assert found(an_exchange(output_messages=(Message("assistant", (cited,)),))) == ("citations", ["one", "two"])


# -- delimiters and paths ---------------------------------------------------------------------------------------------


def test_delimited_context_is_looked_for_in_system_and_user_texts() -> None:
    exchange = asking(
        Message("developer", (Part("text", content="<context>b</context>"),)),
        user("<context>c</context>"),
        answer("<context>not this</context>"),
        user("And?"),
        system_instructions=(Part("text", content="<context>a</context>"),),
    )
    assert found(exchange) == ("delimiters", ["a", "b", "c"])
    assert found(exchange, known_delimiters=False) == (None, [])
    assert found(asking(user("[[x]]")), delimiters=(r"\[\[(?P<context>.*?)\]\]",)) == ("delimiters", ["x"])


def requested(body: Any, **changes: Any) -> Capture:
    return a_capture(request_body=body if isinstance(body, bytes) else json.dumps(body).encode(), **changes)


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("$.documents[*].text", ["one", "two"]),
        ("$.documents[?@.score > 1].text", ["two"]),
        ("$.tags", ["a", "b"]),
        ("$.documents[0]", ['{"text":"one","score":1}']),
        ("$.nothing", []),
        ("$.null", []),
    ],
)
def test_a_path_leads_into_the_requests_body(path: str, texts: list[str]) -> None:
    documents = [{"text": "one", "score": 1}, {"text": "two", "score": 2}]
    capture = requested({"documents": documents, "tags": ["a", "b"], "null": None})
    assert found(an_exchange(), capture, json_path=path) == ("json_path" if texts else None, texts)


@pytest.mark.parametrize(
    "capture",
    [
        requested(b"not JSON"),
        requested({"a": "x"}, request_cut=True),
        requested({"a": "x"}, request_headers=(("Content-Encoding", "gzip"),)),
        requested(b"[" * 500 + b"]" * 500),
    ],
)
def test_a_body_that_cannot_be_read_as_it_is_has_no_context(capture: Capture) -> None:
    assert found(an_exchange(), capture, json_path="$..a") == (None, [])


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_too_much_is_cut_and_of_a_conversation_the_last_stays() -> None:
    exchange = asking(*[result(f"{number} " + "x" * 8) for number in range(9)])
    assert found(exchange, max_texts=2) == ("tools", ["7 xxxxxxxx", "8 xxxxxxxx"])
    assert found(exchange, max_size=15) == ("tools", ["7 xxx", "8 xxxxxxxx"])
    capture = in_header('["first","second","third"]')
    assert found(an_exchange(), capture, max_texts=2) == ("header", ["first", "second"])


def test_a_cut_does_not_split_a_character() -> None:
    assert found(asking(result("€€")), max_size=4) == ("tools", ["€"])


@QUICK
@given(EXCHANGES, JSON, JSON, st.text(max_size=20), st.integers(1, 50), st.integers(1, 4))
def test_anything_is_read_without_raising_or_changing_it_and_within_bounds(
    exchange: Exchange, said: Any, cited: Any, header: str, max_size: int, max_texts: int
) -> None:
    parts = (Part("server_tool_call_response", server_tool_call_response=said), Part("text", citations=(cited,)))
    exchange = msgspec.structs.replace(
        exchange, input_messages=(*exchange.input_messages, Message("user", parts)), claims={"metadata.context": header}
    )
    before = repr(exchange)
    for source in SOURCES:
        capture = msgspec.structs.replace(in_header(header), request_body=header.encode("utf-8", "replace"))
        options = Context(sources=(source,), json_path="$..*", max_size=max_size, max_texts=max_texts)
        extracted = options.extract(capture, exchange)
        assert repr(exchange) == before
        assert len(extracted.context) <= max_texts
        assert sum(len(text.encode("utf-8", "replace")) for text in extracted.context) <= max_size
        assert (extracted.context_source == source) is bool(extracted.context)
        assert "" not in extracted.context


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"delimiters": ["<a>(.*)</a>"]}, "does not say what the context is"),
        ({"delimiters": ["("]}, "delimiters[0] is no RE2 pattern"),
        ({"json_path": "documents"}, "json_path is no JSONPath"),
        ({"json_path": "$.a["}, "write it like $.documents[*].text"),
        ({"max_texts": 0}, "must be at least 1"),
        ({"max_size": "0"}, "must be at least 1"),
        ({"sources": ["tool"]}, "sources"),
        ({"headers": ["Authorization"]}, "authorization is a credential, which is never captured"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build_one(("processors", "context"), options, Context)
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)
