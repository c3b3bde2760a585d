"""Which format reads what: real paths of every service, and those of applications that only look like them."""

from __future__ import annotations

import pytest

from pipeline.records import Capture, Headers
from tests.support.records import a_capture
from wire import SPLICED_FORMATS, WIRE_FORMATS, decode

CHAT = b'{"model":"m","messages":[]}'
INPUT = b'{"model":"m","input":"a"}'
PROMPT = b'{"model":"m","prompt":"a"}'
FOUND = b'{"model":"m","query":"a","documents":["b"]}'
MESSAGE = b'{"message":"Hello"}'
OWN = b'{"text":"Hello"}'
ANTHROPIC: Headers = (("Anthropic-Version", "2023-06-01"),)
VERTEX = "/v1/projects/p/locations/l/publishers"
ARN = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-v1:0"

POSTS = [
    # OpenAI and its dialect, wherever it is mounted
    ("/v1/chat/completions", CHAT, "openai_chat"),
    ("/v1/chat/completions/", CHAT, "openai_chat"),
    ("/v1/chat/completions?beta=true", CHAT, "openai_chat"),
    ("/chat/completions", CHAT, "openai_chat"),
    ("/openai/v1/chat/completions", CHAT, "openai_chat"),
    ("/api/v1/chat/completions", CHAT, "openai_chat"),
    ("/api/chat/completions", CHAT, "openai_chat"),
    ("/api/v0/chat/completions", CHAT, "openai_chat"),
    ("/api/paas/v4/chat/completions", CHAT, "openai_chat"),
    ("/v1beta/openai/chat/completions", CHAT, "openai_chat"),
    ("/inference/v1/chat/completions", CHAT, "openai_chat"),
    ("/openai/deployments/gpt/chat/completions?api-version=2024-10-21", CHAT, "openai_chat"),
    ("/v1/agents/completions", b'{"agent_id":"a","messages":[]}', "openai_chat"),
    (f"{VERTEX.removesuffix('/publishers')}/endpoints/openapi/chat/completions", CHAT, "openai_chat"),
    ("/v1/chat/completions", b"", "openai_chat"),
    ("/v1/chat/completions/chatcmpl-1", b'{"metadata":{}}', "http"),
    ("/v1/completions", PROMPT, "openai_completions"),
    ("/completions", PROMPT, "openai_completions"),
    ("/completion", PROMPT, "openai_completions"),
    ("/infill", b'{"input_prefix":"a","input_suffix":"b"}', "openai_completions"),
    ("/beta/completions", PROMPT, "openai_completions"),
    ("/v1/fim/completions", PROMPT, "openai_completions"),
    ("/openai/deployments/gpt/completions?api-version=1", b"{}", "openai_completions"),
    ("/completion", OWN, "http"),
    ("/completions", OWN, "http"),
    ("/v1/responses", INPUT, "openai_responses"),
    ("/responses", INPUT, "openai_responses"),
    ("/openai/v1/responses", INPUT, "openai_responses"),
    ("/openai/responses?api-version=1", INPUT, "openai_responses"),
    ("/api/v1/responses", INPUT, "openai_responses"),
    ("/backend-api/codex/responses", INPUT, "openai_responses"),
    ("/v1/responses/compact", INPUT, "openai_responses"),
    ("/v1/responses/input_tokens", INPUT, "openai_responses"),
    ("/v1/responses/resp_1/cancel", b"", "openai_responses"),
    ("/responses/resp_1/cancel", b"", "openai_responses"),
    ("/responses/17/cancel", b"", "http"),
    ("/surveys/17/responses", b'{"answers":[]}', "http"),
    ("/responses", b"", "http"),
    ("/v1/embeddings", INPUT, "openai_embeddings"),
    ("/embeddings", INPUT, "openai_embeddings"),
    ("/embedding", b'{"content":"a"}', "openai_embeddings"),
    ("/v1/multimodalembeddings", b'{"inputs":[]}', "openai_embeddings"),
    ("/openai/deployments/e/embeddings?api-version=1", INPUT, "openai_embeddings"),
    ("/api/embeddings", INPUT, "openai_embeddings"),
    ("/api/v1/embeddings", INPUT, "openai_embeddings"),
    ("/embeddings", OWN, "http"),
    ("/v1/moderations", INPUT, "openai_moderations"),
    ("/v1/chat/moderations", INPUT, "openai_moderations"),
    ("/forum/moderations", b'{"post":1}', "http"),
    ("/v1/audio/speech", INPUT, "openai_audio"),
    ("/openai/deployments/t/audio/transcriptions?api-version=1", b"", "openai_audio"),
    ("/openai/v1/audio/translations", b"", "openai_audio"),
    ("/v1/audio/voices", b"", "http"),
    ("/v1/images/generations", PROMPT, "openai_images"),
    ("/v1/images/edits", PROMPT, "openai_images"),
    ("/v1/images/variations", PROMPT, "openai_images"),
    ("/openai/deployments/d/images/generations?api-version=1", PROMPT, "openai_images"),
    ("/images", PROMPT, "http"),
    ("/v1/files", b"", "http"),
    ("/v1/batches", b"{}", "http"),
    ("/v1/threads/thread_1/messages", b'{"role":"user","content":"a"}', "http"),
    ("/v1/threads/thread_1/runs", b"{}", "http"),
    ("/v1/conversations", b"{}", "http"),
    # Anthropic
    ("/v1/messages", CHAT, "anthropic_messages"),
    ("/v1/messages?beta=true", CHAT, "anthropic_messages"),
    ("/proxy/anthropic/v1/messages", CHAT, "anthropic_messages"),
    ("/v1/messages", b'{"to":"4917000","type":"text"}', "http"),
    ("/messages", CHAT, "http"),
    ("/api/rooms/17/messages", MESSAGE, "http"),
    ("/v1/messages/count_tokens", CHAT, "anthropic_count_tokens"),
    ("/anthropic/v1/messages/count_tokens?beta=true", CHAT, "anthropic_count_tokens"),
    ("/v1/messages/batches", b'{"requests":[]}', "anthropic_batches"),
    ("/v1/messages/batches/msgbatch_1/cancel", b"", "anthropic_batches"),
    ("/messages/batches", b'{"to":[]}', "http"),
    (f"{VERTEX}/anthropic/models/claude:rawPredict", CHAT, "anthropic_messages"),
    (f"{VERTEX}/anthropic/models/claude%4020250929:streamRawPredict", CHAT, "anthropic_messages"),
    (f"{VERTEX}/anthropic/models/claude%3ArawPredict", CHAT, "anthropic_messages"),
    (f"{VERTEX}/anthropic/models/count-tokens:rawPredict", CHAT, "anthropic_count_tokens"),
    (f"{VERTEX}/anthropic/models/count-tokens%3ArawPredict", CHAT, "anthropic_count_tokens"),
    (f"{VERTEX}/mistralai/models/mistral:rawPredict", CHAT, "http"),
    # Gemini and Vertex AI
    ("/v1beta/models/gemini-2.5-flash:generateContent", b"{}", "gemini"),
    ("/v1beta/models/gemini-2.5-flash%3AgenerateContent", b"{}", "gemini"),
    ("/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", b"{}", "gemini"),
    ("/v1/models/gemini-2.5-flash:countTokens", b"{}", "gemini"),
    ("/gemini/v1beta/models/gemini-2.5-flash:generateContent/", b"{}", "gemini"),
    ("/v1beta/tunedModels/mine:generateContent", b"{}", "gemini"),
    (f"{VERTEX}/google/models/gemini-2.5-flash:generateContent", b"{}", "gemini"),
    ("/v1/projects/p/locations/l/endpoints/17:generateContent", b"{}", "gemini"),
    ("/v1beta/models/gemini-embedding-001:embedContent", b"{}", "gemini_embeddings"),
    ("/v1beta/models/gemini-embedding-001%3AbatchEmbedContents", b"{}", "gemini_embeddings"),
    (f"{VERTEX}/google/models/text-embedding-005:predict", b"{}", "gemini_embeddings"),
    (f"{VERTEX}/google/models/imagen-4:predict", b"{}", "http"),
    ("/v1/projects/p/locations/l/endpoints/17:predict", b"{}", "http"),
    ("/v1beta/models/gemini-2.5-flash:predictLongRunning", b"{}", "http"),
    ("/v1/models/x", b"{}", "http"),
    ("/v1beta/cachedContents", b"{}", "http"),
    # Ollama
    ("/api/chat", CHAT, "ollama"),
    ("/ollama/api/chat", CHAT, "ollama"),
    ("/api/chat/", CHAT, "ollama"),
    ("/api/generate", PROMPT, "ollama"),
    ("/api/embed", INPUT, "ollama_embeddings"),
    ("/api/embeddings", PROMPT, "ollama_embeddings"),
    ("/api/chat", b'{"messages":[]}', "http"),
    ("/api/generate", b'{"prompt":"a"}', "http"),
    ("/api/show", b'{"model":"m"}', "http"),
    ("/api/pull", b'{"model":"m"}', "http"),
    # Cohere, and the rerankers after it
    ("/v2/chat", CHAT, "cohere_chat"),
    ("/cohere/v2/chat", CHAT, "cohere_chat"),
    ("/v1/chat", MESSAGE, "cohere_chat_v1"),
    ("/v2/chat", MESSAGE, "http"),
    ("/v1/chat", CHAT, "http"),
    ("/v1/chat", OWN, "http"),
    ("/chat", MESSAGE, "http"),
    ("/v1/embed", b'{"texts":[]}', "cohere_embed"),
    ("/v2/embed", b'{"texts":[]}', "cohere_embed"),
    ("/embed", b'{"inputs":"a"}', "http"),
    ("/v1/rerank", FOUND, "rerank"),
    ("/v2/rerank", FOUND, "rerank"),
    ("/rerank", FOUND, "rerank"),
    ("/rerank", b'{"query":"a","texts":["b"]}', "rerank"),
    ("/rerank", b'{"items":[1,2]}', "http"),
    ("/v1/tokenize", OWN, "http"),
    # Bedrock
    ("/model/us.amazon.nova-lite-v1:0/converse", CHAT, "bedrock_converse"),
    ("/model/us.amazon.nova-lite-v1%3A0/converse-stream", CHAT, "bedrock_converse"),
    ("/bedrock/model/us.amazon.nova-lite-v1%3A0/converse", CHAT, "bedrock_converse"),
    (f"/model/{ARN}/converse", CHAT, "bedrock_converse"),
    (f"/model/{ARN.replace(':', '%3A').replace('/', '%2F')}/converse-stream", CHAT, "bedrock_converse"),
    ("/model/anthropic.claude-v1:0/invoke", CHAT, "bedrock_invoke"),
    (f"/model/{ARN}/invoke-with-response-stream", CHAT, "bedrock_invoke"),
    ("/model/anthropic.claude-v1:0/async-invoke", CHAT, "http"),
    ("/model/converse", CHAT, "http"),
    ("/guardrail/g/version/1/apply", b"{}", "http"),
    # none of these
    ("/", b"", "http"),
    ("", b"", "http"),
    ("*", b"", "http"),
    ("/invoke", CHAT, "http"),
    ("/v1/chat/completions/extra/path", CHAT, "http"),
    ("/v1/xchat/completionsx", CHAT, "http"),
]
OTHERS = [
    ("GET", "/v1/chat/completions/chatcmpl-1", "openai_chat"),
    ("GET", "/v1/chat/deferred-completion/1", "openai_chat"),
    ("GET", "/v1/chat/completions", "http"),
    ("DELETE", "/v1/chat/completions/chatcmpl-1", "http"),
    ("HEAD", "/v1/chat/completions", "http"),
    ("OPTIONS", "/v1/chat/completions", "http"),
    ("PUT", "/v1/chat/completions", "http"),
    ("GET", "/v1/responses/resp_1?stream=true", "openai_responses"),
    ("GET", "/responses/resp_1", "openai_responses"),
    ("GET", "/openai/responses/resp_1?api-version=1", "openai_responses"),
    ("GET", "/surveys/responses/17", "http"),
    ("GET", "/v1/responses/resp_1/input_items", "http"),
    ("DELETE", "/v1/responses/resp_1", "http"),
    ("OPTIONS", "/v1/responses", "http"),
    ("GET", "/v1/messages/batches", "anthropic_batches"),
    ("GET", "/v1/messages/batches/msgbatch_1", "anthropic_batches"),
    ("GET", "/v1/messages/batches/msgbatch_1/results", "anthropic_batches"),
    ("DELETE", "/v1/messages/batches/msgbatch_1", "http"),
    ("GET", "/messages/batches/17", "http"),
    ("GET", "/v1/messages", "http"),
    ("HEAD", "/v1/messages", "http"),
    ("OPTIONS", "/v1/messages", "http"),
    ("GET", "/v1/models", "http"),
    ("GET", "/v1/models/gpt-4o", "http"),
    ("GET", "/v1beta/models/gemini-2.5-flash", "http"),
    ("GET", "/v1beta/models/gemini-2.5-flash:generateContent", "http"),
    ("GET", "/api/tags", "http"),
    ("GET", "/api/chat", "http"),
    ("GET", "/model/anthropic.claude-v1:0/invoke", "http"),
    ("DELETE", "/v1/files/file_1", "http"),
    ("GET", "/v1/embeddings", "http"),
    ("GET", "/v1/rerank", "http"),
]
ROWS = [("POST", target, body, name) for target, body, name in POSTS] + [
    (method, target, b"", name) for method, target, name in OTHERS
]
NAMES = [f"{method} {target} {body.decode()}" for method, target, body, _ in ROWS]


def asked(method: str, target: str, body: bytes = b"", headers: Headers = ()) -> Capture:
    return a_capture(method=method, target=target, request_body=body, request_headers=headers, response_body=b"{}")


@pytest.mark.parametrize(("method", "target", "body", "name"), ROWS, ids=NAMES)
def test_a_request_is_read_by_the_format_it_is_of(method: str, target: str, body: bytes, name: str) -> None:
    assert decode(asked(method, target, body)).wire == name


@pytest.mark.parametrize(("method", "target", "body", "name"), ROWS, ids=NAMES)
def test_no_two_formats_want_the_same_request_so_their_order_does_not_matter(
    method: str, target: str, body: bytes, name: str
) -> None:
    capture = asked(method, target, body)
    wanting = [wire_format.name for wire_format in WIRE_FORMATS if wire_format.matches(capture)]
    assert wanting == ([] if name == "http" else [name])


@pytest.mark.parametrize("target", ["/messages", "/anything/messages", "/v1/messages"])
def test_a_client_of_anthropics_says_so(target: str) -> None:
    assert decode(asked("POST", target, b"{}", ANTHROPIC)).wire == "anthropic_messages"
    assert decode(asked("GET", "/messages/batches/msgbatch_1", b"", ANTHROPIC)).wire == "anthropic_batches"


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("/responses", {"openai_responses"}),
        ("/completion", {"openai_completions"}),
        ("/api/embeddings", {"ollama_embeddings"}),
        ("/rerank", {"rerank"}),
        ("/v1/chat", {"cohere_chat_v1"}),
        ("/v2/chat", {"cohere_chat"}),
    ],
)
def test_what_cannot_be_seen_of_a_request_is_not_held_against_it(target: str, names: set[str]) -> None:
    packed = asked("POST", target, b"\x1f\x8b", (("Content-Encoding", "gzip"),))
    assert {wire_format.name for wire_format in WIRE_FORMATS if wire_format.matches(packed)} == names


def test_an_application_that_streams_by_itself_is_not_ollama() -> None:
    answered = a_capture(target="/api/chat", request_body=CHAT, response_body=b'0:"Hello"\n')
    assert decode(answered).wire == "http"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/v1/realtime?model=gpt-realtime", "openai_realtime"),
        ("/openai/realtime?deployment=gpt", "openai_realtime"),
        ("/v1/responses", "openai_responses_socket"),
        ("/ws", None),
        ("/v1/realtime/client_secrets", None),
    ],
)
def test_a_connection_is_read_by_the_format_it_is_of(target: str, name: str | None) -> None:
    capture = a_capture(method="GET", target=target, status=101)
    assert [spliced.name for spliced in SPLICED_FORMATS if spliced.matches(capture)] == ([name] if name else [])
