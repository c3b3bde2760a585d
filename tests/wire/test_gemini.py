"""generateContent as Google's servers bend it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Capture, Exchange, Part, Usage, text_of, tool_calls_of
from tests.support.records import a_capture, reported
from tests.wire.cases import genai_fields, read_case
from tests.wire.test_formats import mutated, survives_the_journal
from wire import decode
from wire.gemini import Gemini
from wire.http import route_of

PATH = "/v1beta/models/gemini-2.5-flash"
SSE = (("content-type", "text/event-stream"),)


def gemini(verb: str = "generateContent", **changes: Any) -> Capture:
    shared: dict[str, Any] = {
        "target": f"{PATH}:{verb}",
        "server_address": "generativelanguage.googleapis.com",
        "request_body": b'{"contents":[{"parts":[{"text":"Hi"}]}]}',
        "response_body": json.dumps(content("Hello")).encode(),
    }
    return a_capture(**shared | changes)


def content(*parts: Any, reason: str | None = "STOP", **others: Any) -> dict[str, Any]:
    given_parts = [{"text": part} if type(part) is str else part for part in parts]
    return {"candidates": [{"content": {"parts": given_parts}, "finishReason": reason} | others]}


def answered(body: object) -> Exchange:
    return decode(gemini(response_body=json.dumps(body).encode()))


def asked(**request: Any) -> Exchange:
    return decode(gemini(request_body=json.dumps({"contents": []} | request).encode()))


def stream(*chunks: object, line_end: bytes = b"\r\n") -> Capture:
    body = b"".join(b"data: " + json.dumps(chunk).encode() + line_end * 2 for chunk in chunks)
    return gemini("streamGenerateContent?alt=sse", response_body=body, response_headers=SSE)


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1beta/models/gemini-2.5-flash:generateContent", True),
        ("POST", "/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=x", True),
        ("POST", "/v1alpha/models/gemini-2.5-flash%3AgenerateContent", True),
        ("POST", "/prefix/v1beta/tunedModels/t:generateContent", True),
        ("POST", "/v1/projects/p/locations/l/publishers/google/models/g:countTokens", True),
        ("POST", "/v1/projects/p/locations/l/endpoints/123:generateContent", True),
        ("GET", "/v1beta/models/gemini-2.5-flash:generateContent", False),
        ("GET", "/v1/models/gpt-4o", False),
        ("POST", "/v1/models/gpt-4o", False),
        ("DELETE", "/v1/models/ft:gpt-4o:org::id", False),
        ("POST", "/v1/chat/completions?next=/models/x:generateContent", False),
        ("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/claude:rawPredict", False),
        ("POST", "/v1beta/models/gemini-embedding-001:embedContent", False),
    ],
)
def test_matches(method: str, target: str, matches: bool) -> None:
    assert Gemini().matches(a_capture(method=method, target=target)) is matches


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1beta/models/g:generateContent", "/v1beta/models/{id}:{verb}"),
        ("/v1/models/g:generateContent", "/v1/models/{id}:{verb}"),
        ("/v1/models/gpt-4o", "/v1/models/{id}"),
        (
            "/v1beta1/projects/p/locations/l/publishers/google/models/g:generateContent",
            "/projects/{project}/locations/{location}/publishers/{publisher}/models/{id}:{verb}",
        ),
        (
            "/v1/projects/p/locations/l/endpoints/1:generateContent",
            "/projects/{project}/locations/{location}/endpoints/{id}:{verb}",
        ),
    ],
)
def test_route(path: str, route: str) -> None:
    assert route_of(path) == route


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        ({"maxOutputTokens": 5, "topK": 40.0}, {"max_tokens": 5, "top_k": 40}),
        ({"max_output_tokens": 5, "stop_sequences": ["a"]}, {"max_tokens": 5, "stop_sequences": ["a"]}),
        ({"candidateCount": 1, "temperature": None}, {}),
        ({"candidateCount": 2}, {"choice.count": 2}),
        ({"thinkingConfig": {"thinkingBudget": 0}}, {}),
        ({"thinking_config": {"thinking_level": "LOW"}}, {"reasoning.level": "low"}),
        ({"presencePenalty": 0.1, "frequencyPenalty": 0.2}, {"presence_penalty": 0.1, "frequency_penalty": 0.2}),
    ],
)
@pytest.mark.parametrize("name", ["generationConfig", "generation_config"])
def test_parameters(name: str, config: dict[str, Any], parameters: dict[str, Any]) -> None:
    exchange = asked(**{name: config})
    assert (exchange.parameters, exchange.decode_error) == (parameters, None)


@pytest.mark.parametrize(
    ("config", "output"),
    [
        ({"responseMimeType": "application/json"}, ("json", None)),
        ({"responseMimeType": "text/plain"}, ("text", None)),
        (
            {"responseJsonSchema": {"type": "object"}, "responseMimeType": "application/json"},
            ("json", {"type": "object"}),
        ),
        ({"response_schema": {"type": "OBJECT"}}, ("json", {"type": "object"})),
        (
            {"responseFormat": [{"text": {"mimeType": "application/json", "schema": {"type": "OBJECT"}}}]},
            ("json", {"type": "object"}),
        ),
        ({"responseFormat": [{"audio": {}}]}, ("speech", None)),
        ({"responseModalities": ["AUDIO"]}, ("speech", None)),
        ({"responseModalities": ["TEXT", "IMAGE"]}, ("image", None)),
        ({"responseModalities": ["TEXT"]}, (None, None)),
    ],
)
def test_output(config: dict[str, Any], output: tuple[str | None, Any]) -> None:
    exchange = asked(generationConfig=config)
    assert (exchange.output_type, exchange.output_schema) == output


def test_tools_are_functions_by_schema_and_googles_by_name() -> None:
    exchange = asked(
        tools=[{"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}, {"urlContext": {}}]
    )
    assert exchange.tool_definitions == (
        {"type": "function", "name": "f", "parameters": {"type": "object"}},
        {"type": "url_context", "name": "url_context"},
    )


@pytest.mark.parametrize(
    "request_part",
    [
        {"contents": "Hi"},
        {"contents": ["Hi"]},
        {"systemInstruction": "Be brief"},
        {"generationConfig": []},
        {"generationConfig": {"temperature": "hot"}},
        {"generationConfig": {"responseModalities": [1]}},
        {"tools": "search"},
        {"tools": [{"functionDeclarations": 1}]},
        {"labels": []},
    ],
)
def test_wrong_type_in_the_request_is_named_and_the_rest_read(request_part: dict[str, Any]) -> None:
    exchange = asked(**request_part)
    assert (exchange.decode_error, text_of(exchange.output_messages)) == ("unexpected_shape", "Hello")


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("SOMETHING_NEW", "SOMETHING_NEW"),
        (None, None),
    ],
)
def test_finish_reason(reason: str | None, word: str | None) -> None:
    assert answered(content("Hi", reason=reason)).output_messages[0].finish_reason == word


def test_an_answer_cut_short_in_a_call_is_no_tool_call() -> None:
    exchange = answered(content({"functionCall": {"name": "f", "args": {}}}, reason="MAX_TOKENS"))
    assert exchange.output_messages[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}, reported(9, 3)),
        ({"promptTokenCount": 9, "totalTokenCount": 9}, reported(9)),
        ({"promptTokenCount": 9, "thoughtsTokenCount": 30}, reported(9, 30, reasoning=30)),
        (
            {"promptTokenCount": 9, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": 4},
            reported(14, 7, reasoning=4, tool_use__input_tokens=5),
        ),
        (
            {
                "promptTokenCount": 300,
                "cachedContentTokenCount": 258,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 42},
                    {"modality": "IMAGE", "tokenCount": 258},
                ],
                "cacheTokensDetails": [{"modality": "IMAGE", "tokenCount": 258}],
            },
            reported(
                300,
                cache_read=258,
                text__input_tokens=42,
                image__input_tokens=258,
                image__cache_read__input_tokens=258,
            ),
        ),
        ({"promptTokenCount": 9, "promptTokensDetails": [{"modality": "SMELL", "tokenCount": 9}]}, reported(9)),
        ({"trafficType": "ON_DEMAND"}, Usage()),
        ({"toolUsePromptTokenCount": 5}, reported(tool_use__input_tokens=5)),
        (None, Usage()),
    ],
)
def test_usage(usage: object, counts: Usage) -> None:
    assert answered(content("Hi") | {"usageMetadata": usage}).usage == counts


def test_the_last_usage_of_a_stream_counts() -> None:
    chunks = [content(text, reason=None) | {"usageMetadata": {"promptTokenCount": 4}} for text in "ab"]
    last = content("c") | {"usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3}}
    assert decode(stream(*chunks, last)).usage == reported(4, 3)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_parts_of_a_stream_are_joined_and_thoughts_kept_apart(line_end: bytes) -> None:
    def thought(text: str) -> dict[str, Any]:
        return {"text": text, "thought": True}

    chunks = [content(thought("a"), reason=None), content(thought("b"), "c", reason=None), content("d", "e")]
    exchange = decode(stream(*chunks, line_end=line_end))
    parts = [(part.type, part.content) for part in exchange.output_messages[0].parts]
    assert parts == [("reasoning", "ab"), ("text", "cd"), ("text", "e")]
    assert (exchange.complete, exchange.stream) == (True, True)


def test_a_stream_without_its_last_finish_reason_is_incomplete() -> None:
    assert not decode(stream(content("a", reason=None))).complete


def test_a_prompt_blocked_while_it_is_answered_ends_the_answer() -> None:
    exchange = decode(stream(content("a", reason=None), {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}))
    assert (exchange.output_messages[0].finish_reason, exchange.complete) == ("content_filter", True)


def test_one_of_two_candidates_is_not_the_end() -> None:
    request = b'{"contents": [], "generationConfig": {"candidate_count": 2}}'
    capture = msgspec.structs.replace(stream(content("a")), request_body=request)
    assert not decode(capture).complete


@pytest.mark.parametrize("index", [None, "0", -1, 2**70, 0])
def test_text_of_a_candidate_with_any_index_is_read(index: object) -> None:
    exchange = decode(stream(content("a", reason=None, index=index), content("b", index=index)))
    assert text_of(exchange.output_messages) == "ab"


def test_a_stream_is_read_however_it_comes() -> None:
    chunks = [content("a", reason=None), content("b")]
    array = json.dumps(chunks).encode()
    whole = gemini("streamGenerateContent", response_body=array)
    assert text_of(decode(whole).output_messages) == "ab"
    assert text_of(decode(stream(*chunks)).output_messages) == "ab"
    plain = gemini("streamGenerateContent", response_body=json.dumps(content("ab")).encode())
    assert (text_of(decode(plain).output_messages), decode(plain).stream) == ("ab", False)


def test_an_empty_array_is_no_whole_answer() -> None:
    exchange = decode(gemini("streamGenerateContent", response_body=b"[]"))
    assert (exchange.output_messages, exchange.complete) == ((), False)


def test_what_was_found_without_words_is_still_cited() -> None:
    grounding = {"groundingChunks": [{"retrievedContext": {"title": "a.pdf", "text": "long"}}, {"web": {}}]}
    exchange = answered(content("Hi", groundingMetadata=grounding))
    assert exchange.output_messages[0].parts[0].citations == ({"title": "a.pdf"},)


@pytest.mark.parametrize("indices", [[7], [-1], ["0"], None, [0, 0]])
def test_citations_of_nothing_are_left_out(indices: object) -> None:
    support = {"segment": {"text": "Hi"}, "groundingChunkIndices": indices}
    grounding = {"groundingChunks": [{"web": {"uri": "https://a.example"}}], "groundingSupports": [support]}
    citations = answered(content("Hi", groundingMetadata=grounding)).output_messages[0].parts[0].citations
    assert citations == (({"text": "Hi", "uri": "https://a.example"},) * 2 if indices == [0, 0] else ())


def test_counting_tokens_uses_none() -> None:
    exchange = decode(gemini("countTokens", response_body=b'{"totalTokens": 31}'))
    assert (exchange.operation, exchange.usage, exchange.decode_error) == ("count_tokens", Usage(), None)
    assert exchange.attributes == {"sidelight.count_tokens.input_tokens": "31"}


def test_calls_with_and_without_an_id() -> None:
    exchange = answered(
        content({"functionCall": {"name": "f"}}, {"functionCall": {"id": "c", "name": "g", "args": {}}})
    )
    assert tool_calls_of(exchange.output_messages) == [
        Part("tool_call", name="f"),
        Part("tool_call", id="c", name="g", arguments={}),
    ]


@given(data=st.data(), shuffled=st.booleans())
@settings(max_examples=100)
def test_any_value_anywhere_in_an_array_never_raises(data: st.DataObject, shuffled: bool) -> None:
    capture = read_case("gemini/text_array_stream")
    chunks = mutated(data, json.loads(capture.response_body))
    if shuffled and isinstance(chunks, list):
        chunks = data.draw(st.permutations(chunks))
    exchange = decode(msgspec.structs.replace(capture, response_body=json.dumps(chunks).encode()))
    assert exchange.decode_error != "decoder_failed"
    assert survives_the_journal(exchange)


def test_an_error_in_an_array_is_told_as_one_in_a_body() -> None:
    fields = genai_fields(decode(read_case("gemini/error_in_array_stream")))
    assert (fields["error_type"], fields["error_message"]) == ("429", "You exceeded your current quota.")
