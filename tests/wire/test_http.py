"""What HTTP alone tells of an exchange."""

from __future__ import annotations

import pytest

from tests.support.records import a_capture, an_exchange
from wire.http import KNOWN_PATHS, bare_exchange, header, provider_of, route_of


def test_http_layer_is_carried_over() -> None:
    capture = a_capture(target="/v1/chat/completions?a=b&c", request_headers=(("USER-agent", "curl/8"),))
    http = bare_exchange(capture).http
    assert (http.path, http.query, http.user_agent) == ("/v1/chat/completions", "a=b&c", "curl/8")
    bare = bare_exchange(a_capture())
    assert (bare.http, bare.timing, bare.wire, bare.operation) == (
        an_exchange().http,
        an_exchange().timing,
        "http",
        None,
    )


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/ollama/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/v1/chat/completions", "/v1/chat/completions"),
        ("/chat/completions", "/chat/completions"),
        ("/v1beta/openai/chat/completions", "/chat/completions"),
        ("/openai/deployments/my-gpt/chat/completions", "/openai/deployments/{id}/chat/completions"),
        ("/v1/messages", "/v1/messages"),
        ("/v1/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/v1/messages/batches/msgbatch_1/results", "/v1/messages/batches/{id}/results"),
        ("/v1/responses/resp_123", "/v1/responses/{id}"),
        ("/v1beta/models/gemini-2.5-pro:generateContent", "/v1beta/models/{id}:{verb}"),
        ("/v1/embeddings", "/v1/embeddings"),
        ("/api/chat", "/api/chat"),
        ("/", None),
        ("", None),
        ("*", None),
        ("/v1/chat/completions/a/b/c", None),
        ("/v1/responses/" + "x/" * 5000, None),
    ],
)
def test_route_is_the_known_end_of_the_path(path: str, route: str | None) -> None:
    assert route_of(path) == route


@pytest.mark.parametrize("path", KNOWN_PATHS)
def test_every_known_path_is_its_own_route(path: str) -> None:
    assert route_of(path.replace("{id}", "abc-1").replace("{verb}", "run")) == path


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("API.Anthropic.com", "anthropic"),
        ("corp.openai.azure.com", "azure.ai.openai"),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("bedrock-runtime.eu-north-1.amazonaws.com", "aws.bedrock"),
        ("api.groq.com", "groq"),
        ("api.mistral.ai", "mistral_ai"),
        ("api.x.ai", "x_ai"),
        ("openrouter.ai", "openrouter"),
        ("notapi.openai.com.example.net", None),
        ("evilapi.openai.com", None),
        ("localhost", None),
        ("127.0.0.1", None),
        ("", None),
    ],
)
def test_provider_is_known_from_the_host(host: str, provider: str | None) -> None:
    assert provider_of(a_capture(server_address=host)) == provider


def test_configured_provider_wins() -> None:
    assert provider_of(a_capture(provider="vllm")) == "vllm"


@pytest.mark.parametrize(
    ("changes", "error_type", "complete"),
    [
        ({}, None, True),
        ({"status": 399}, None, True),
        ({"status": 404}, "404", True),
        ({"status": 502, "error_type": "upstream_reset"}, "upstream_reset", False),
        ({"status": None, "error_type": "connect_error"}, "connect_error", False),
    ],
)
def test_error_type(changes: dict[str, object], error_type: str | None, complete: bool) -> None:
    exchange = bare_exchange(a_capture(**changes))
    assert (exchange.error_type, exchange.complete) == (error_type, complete)


def test_event_stream_is_a_stream() -> None:
    assert bare_exchange(a_capture(response_headers=(("content-type", "Text/Event-Stream;charset=utf-8"),))).stream
    assert not bare_exchange(a_capture()).stream


def test_header_joins_what_is_repeated() -> None:
    assert header((("A", "1"), ("b", "2"), ("a", "3")), "a") == "1, 3"
    assert header((), "a") is None
