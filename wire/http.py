"""What every exchange has, whatever its format: the HTTP layer, the times, and who answered."""

from __future__ import annotations

import re
from functools import lru_cache

from pipeline.records import Capture, Exchange, Headers, Http, Timing

KNOWN_PATHS = (
    # OpenAI and the many servers that speak its dialect
    "/v1/chat/completions",
    "/v1/chat/completions/{id}",
    "/v1/chat/completions/{id}/messages",
    "/v1/chat/deferred-completion/{id}",
    "/v1/completions",
    "/v1/fim/completions",
    "/v1/responses",
    "/v1/responses/compact",
    "/v1/responses/input_tokens",
    "/v1/responses/{id}",
    "/v1/responses/{id}/cancel",
    "/v1/responses/{id}/input_items",
    "/v1/conversations",
    "/v1/conversations/{id}",
    "/v1/conversations/{id}/items",
    "/v1/embeddings",
    "/v1/multimodalembeddings",
    "/v1/contextualizedembeddings",
    "/v1/moderations",
    "/v1/chat/moderations",
    "/v1/rerank",
    "/v1/score",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/images/variations",
    "/v1/realtime",
    "/v1/models",
    "/v1/models/{id}",
    "/v1/files",
    "/v1/files/{id}",
    "/v1/files/{id}/content",
    "/v1/batches",
    "/v1/batches/{id}",
    "/v1/batches/{id}/cancel",
    "/openai/deployments/{id}/chat/completions",
    "/openai/deployments/{id}/completions",
    "/openai/deployments/{id}/embeddings",
    "/openai/responses/{id}",
    "/openai/responses/{id}/cancel",
    "/openai/deployments/{id}/audio/speech",
    "/openai/deployments/{id}/audio/transcriptions",
    "/openai/deployments/{id}/audio/translations",
    "/openai/deployments/{id}/images/generations",
    "/openai/deployments/{id}/images/edits",
    "/openai/realtime",
    # Anthropic
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/messages/batches",
    "/v1/messages/batches/{id}",
    "/v1/messages/batches/{id}/cancel",
    "/v1/messages/batches/{id}/results",
    "/v1/complete",
    # Gemini
    "/projects/{project}/locations/{location}/publishers/{publisher}/models/{id}:{verb}",
    "/projects/{project}/locations/{location}/endpoints/{id}:{verb}",
    "/v1/models/{id}:{verb}",
    "/v1beta/models",
    "/v1beta/models/{id}",
    "/v1beta/models/{id}:{verb}",
    "/v1beta/tunedModels/{id}:{verb}",
    "/v1alpha/models/{id}:{verb}",
    # Ollama
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
    "/api/tags",
    "/api/show",
    # Cohere
    "/v1/chat",
    "/v1/embed",
    "/v2/chat",
    "/v2/embed",
    "/v2/rerank",
    # Bedrock
    "/model/{id}/converse",
    "/model/{id}/converse-stream",
    "/model/{id}/invoke",
    "/model/{id}/invoke-with-response-stream",
)
# A server mounted elsewhere leaves out the version; asked last, since each is the end of a longer path above.
UNVERSIONED_PATHS = (
    "/chat/completions",
    "/completions",
    "/completion",
    "/infill",
    "/responses",
    "/embeddings",
    "/embedding",
    "/messages",
    "/rerank",
)

PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "inference.ai.azure.com": "azure.ai.inference",
    "models.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "api.aws": "aws.bedrock",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "ollama.com": "ollama",
    "api.jina.ai": "jina",
    "api.voyageai.com": "voyageai",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "codestral.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "openrouter.ai": "openrouter",
}


def header(headers: Headers, name: str) -> str | None:
    """The header's value, by its lower-case name; repeated ones joined with commas, as HTTP reads them."""
    size = len(name)  # asked first: nearly every other name is of another length
    values = [value for key, value in headers if len(key) == size and key.lower() == name]
    return ", ".join(values) if values else None


def path_of(capture: Capture) -> str:
    """The path as sent, without the query."""
    return capture.target.partition("?")[0]


_VERSIONED = re.compile(r"/(?:v\d\w*|openai|deployments)/")


def is_versioned(capture: Capture) -> bool:
    """Does the path say more than a name that any application may use? `/v1/responses` does, `/responses` does not."""
    return _VERSIONED.search(path_of(capture)) is not None


def may_have(capture: Capture, *members: str) -> bool:
    """Can the request have all these members? Of one that is cut or packed it is not known here."""
    hidden = capture.request_cut or header(capture.request_headers, "content-encoding")
    return bool(hidden) or all(f'"{member}"'.encode() in capture.request_body for member in members)


def _with_model_ids(source: str) -> str:
    """Bedrock's model ids have colons, and not every client encodes them."""
    return source.replace(r"/model/\{id\}/", "/model/[^/]+/")


def _pattern(paths: tuple[str, ...]) -> re.Pattern[str]:
    """One pattern for all: the group that matched is the path's number."""
    sources = [re.sub(r"\\{\w+\\}", "[^/:]+", _with_model_ids(re.escape(path))) for path in paths]
    return re.compile("(?:" + "|".join(f"({source})" for source in sources) + ")/?$")


_KNOWN = ((_pattern(KNOWN_PATHS), KNOWN_PATHS), (_pattern(UNVERSIONED_PATHS), UNVERSIONED_PATHS))


@lru_cache(maxsize=1024)
def route_of(path: str) -> str | None:
    """The known API path that this one ends with, ids as placeholders; None if it is not known."""
    for pattern, paths in _KNOWN:
        if match := pattern.search(path):
            return paths[(match.lastindex or 1) - 1]
    return None


def provider_of(capture: Capture) -> str | None:
    """`gen_ai.provider.name`: as configured, else known from the host or a domain it belongs to."""
    if capture.provider:
        return capture.provider
    host = capture.server_address.lower()
    while host:
        if host in PROVIDERS:
            return PROVIDERS[host]
        host = host.partition(".")[2]
    return None


def error_type_of(capture: Capture) -> str | None:
    """`error.type` as HTTP knows it: what broke the exchange, else a status from 400."""
    if capture.error_type:
        return capture.error_type
    return str(capture.status) if capture.status is not None and capture.status >= 400 else None


def is_event_stream(headers: Headers) -> bool:
    """Does the content type say server-sent events?"""
    return (header(headers, "content-type") or "").lstrip().lower().startswith("text/event-stream")


def bare_exchange(capture: Capture) -> Exchange:
    """The exchange as HTTP alone tells it; every format starts from it, and it is what remains when none matches."""
    return Exchange(
        id=capture.id,
        trace=capture.trace,
        upstream=capture.upstream,
        http=_http(capture),
        timing=Timing(
            started_at=capture.started_at,
            sent_at=capture.sent_at,
            first_byte_at=capture.first_byte_at,
            ended_at=capture.ended_at,
        ),
        provider=provider_of(capture),
        stream=is_event_stream(capture.response_headers),
        complete=capture.status is not None and capture.error_type is None,
        error_type=error_type_of(capture),
    )


def _http(capture: Capture) -> Http:
    path, mark, query = capture.target.partition("?")
    return Http(
        method=capture.method,
        path=path,
        query=query if mark else None,
        scheme=capture.scheme,
        version=capture.http_version,
        status=capture.status,
        server_address=capture.server_address,
        server_port=capture.server_port,
        client_address=capture.client_address,
        client_port=capture.client_port,
        request_size=capture.request_size,
        response_size=capture.response_size,
        user_agent=header(capture.request_headers, "user-agent"),
        route=route_of(path),
        host=header(capture.request_headers, "host"),
    )
