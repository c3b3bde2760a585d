"""What is tested: which client does what with which API, and what Sidelight must say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

STANDARD = {  # scenario → the column of the table, and what the client is to say
    "plain": ("plain", "Say good morning"),
    "stream": ("stream", "Say good morning"),
    "tools": ("tools", "What is the weather?"),
    "tools_stream": ("tools, streamed", "What is the weather?"),
    "structured": ("structured", "Who was a person?"),
    "error": ("4xx", "Ask something forbidden"),
    "retry_429": ("429, then well", "Ask while the quota is spent"),
    "retry_503": ("503, then well", "Ask while it is overloaded"),
    "early_close": ("early close", "Tell a long story"),
    "cut": ("broken off", "Tell a story that breaks off"),
}
CURL = {  # curl's own, each with its line in the second table
    "chunked": "request body in chunks (`-T -`)",
    "expect": "2 MiB after `Expect: 100-continue`",
    "compressed": "`--compressed`",
    "http10": "`--http1.0`",
    "no_keepalive": "`Connection: close`",
    "keepalive": "two requests on one connection",
    "refused": "a 429 with all its headers",
    "get": "`GET /v1/models`",
    "head": "`--head`",
    "unknown_path": "a method and path that no one knows",
    "answered_early": "2 MiB to an endpoint that answers before they have come",
}
PROMPTS = {name: prompt for name, (_, prompt) in STANDARD.items()} | dict.fromkeys(CURL, "Say good morning")
PROMPTS["refused"] = PROMPTS["retry_429"]


class Expected(NamedTuple):
    """What an exported exchange says of itself."""

    wire: str
    operation: str | None


class Api(NamedTuple):
    title: str
    model: str


APIS = {
    "chat": Api("OpenAI chat completions", "gpt-4o"),
    "azure": Api("Azure OpenAI chat completions", "gpt-4o"),
    "completions": Api("OpenAI completions", "gpt-3.5-turbo-instruct"),
    "responses": Api("OpenAI responses", "gpt-4o"),
    "embeddings": Api("OpenAI embeddings", "text-embedding-3-small"),
    "files": Api("OpenAI files (3 MiB, multipart)", "none"),
    "realtime": Api("OpenAI realtime (WebSocket)", "gpt-realtime"),
    "responses_socket": Api("OpenAI responses (WebSocket)", "gpt-4o"),
    "messages": Api("Anthropic messages", "claude-sonnet-4-5"),
    "gemini": Api("Gemini generateContent", "gemini-2.5-flash"),
    "ollama_chat": Api("Ollama chat", "llama3.2"),
    "ollama_generate": Api("Ollama generate", "llama3.2"),
    "ollama_embeddings": Api("Ollama embed", "nomic-embed-text"),
    "converse": Api("Bedrock converse", "anthropic.claude-sonnet-4-5-v1"),
    "invoke": Api("Bedrock invoke, Anthropic's", "anthropic.claude-sonnet-4-5-v1"),
    "cohere_chat": Api("Cohere chat v2", "command-a-03-2025"),
    "cohere_embeddings": Api("Cohere embed v2", "embed-v4.0"),
    "cohere_rerank": Api("Cohere rerank v2", "rerank-v3.5"),
    "http": Api("plain HTTP", "gpt-4o"),
}

EXPECTED_WIRE = {
    "chat": Expected("openai_chat", "chat"),
    "azure": Expected("openai_chat", "chat"),
    "completions": Expected("openai_completions", "text_completion"),
    "responses": Expected("openai_responses", "chat"),
    "embeddings": Expected("openai_embeddings", "embeddings"),
    "files": Expected("http", None),
    "realtime": Expected("openai_realtime", "chat"),
    "responses_socket": Expected("openai_responses_socket", "chat"),
    "messages": Expected("anthropic_messages", "chat"),
    "gemini": Expected("gemini", "generate_content"),
    "ollama_chat": Expected("ollama", "chat"),
    "ollama_generate": Expected("ollama", "text_completion"),
    "ollama_embeddings": Expected("ollama_embeddings", "embeddings"),
    "converse": Expected("bedrock_converse", "chat"),
    "invoke": Expected("bedrock_invoke", "chat"),
    "cohere_chat": Expected("cohere_chat", "chat"),
    "cohere_embeddings": Expected("cohere_embed", "embeddings"),
    "cohere_rerank": Expected("rerank", "rerank"),
    "http": Expected("openai_chat", "chat"),
}

ALL = tuple(STANDARD)
NO_RETRY = tuple(name for name in STANDARD if not name.startswith("retry"))
ONCE = ("plain",)
BOTH = ("plain", "stream")
REAL = ("plain", "stream", "structured", "error", "early_close")  # what a model that speaks nonsense can be asked

Does = Mapping[str, tuple[str, ...]]  # API → its scenarios


@dataclass(frozen=True)
class Client:
    """A program of tests/clients/programs, what runs it, and what it does with which API."""

    name: str
    program: str
    runtime: str  # openai3, openai2, node
    package: str  # whose version the table tells
    does: Does
    arguments: tuple[str, ...] = ()
    upstream: str = "aimock"  # or llama

    @property
    def id(self) -> str:
        return f"{self.name} on {self.upstream}".replace(" ", "-")


def both(name: str, program: str, runtime: str, package: str, does: Does) -> list[Client]:
    """The synchronous client and the asynchronous one."""
    return [Client(f"{name} {mode}", program, runtime, package, does, (mode,)) for mode in ("sync", "async")]


OF_OPENAI = {"chat": ALL, "responses": ALL, "embeddings": ONCE}
OPENAI = {**OF_OPENAI, "files": ONCE, "azure": ("plain", "stream", "error")}
AGENTS = {"chat": ALL, "responses": ALL, "messages": ALL}
ANTHROPIC = {"messages": ALL, "invoke": ("plain", "tools", "structured", "error", "retry_429", "retry_503")}
SOCKETS = {"realtime": ("stream",), "responses_socket": ("stream",)}
OPENAI_LLAMA = {"chat": REAL, "completions": BOTH, "responses": BOTH}
OLLAMA = {"ollama_chat": NO_RETRY, "ollama_generate": BOTH, "ollama_embeddings": ONCE}
LITELLM = {"chat": ALL, "messages": NO_RETRY, "responses": BOTH, "embeddings": ONCE}
COHERE = {"cohere_chat": ALL, "cohere_embeddings": ONCE, "cohere_rerank": ONCE}
CURL_DOES = {"http": ("plain", "stream", "error", "cut", *CURL)}

ON_AIMOCK = [
    *both("openai 3 Python", "openai_python.py", "openai3", "openai", OPENAI),
    Client("openai 3 Python WebSocket", "openai_python.py", "openai3", "openai", SOCKETS, ("async",)),
    *both("openai 2 Python", "openai_python.py", "openai2", "openai", OPENAI),
    *both("anthropic Python", "anthropic_python.py", "openai3", "anthropic", ANTHROPIC),
    *both("google-genai Python", "google_genai.py", "openai3", "google-genai", {"gemini": ALL}),
    *both("ollama Python", "ollama_python.py", "openai3", "ollama", OLLAMA),
    Client("litellm", "litellm_sdk.py", "openai2", "litellm", LITELLM),
    Client("langchain-openai", "langchain_openai_chat.py", "openai2", "langchain-openai", OF_OPENAI),
    Client("pydantic-ai", "pydantic_ai_agent.py", "openai3", "pydantic-ai-slim", AGENTS),
    Client("boto3", "bedrock_boto3.py", "openai2", "boto3", {"converse": ALL}),
    Client("cohere Python", "cohere_python.py", "openai2", "cohere", COHERE),
    Client("openai Node", "openai_npm.mjs", "node", "openai", OF_OPENAI),
    Client("anthropic Node", "anthropic_npm.mjs", "node", "@anthropic-ai/sdk", {"messages": ALL}),
    Client("google-genai Node", "google_genai_npm.mjs", "node", "@google/genai", {"gemini": NO_RETRY}),
    Client("ollama Node", "ollama_npm.mjs", "node", "ollama", {"ollama_chat": NO_RETRY, "ollama_embeddings": ONCE}),
    Client("Vercel AI SDK", "vercel_ai.mjs", "node", "ai", {**AGENTS, "embeddings": ONCE}),
    Client("curl", "curl.py", "openai3", "", CURL_DOES),
]
ON_LLAMA = [
    Client("openai 3 Python sync", "openai_python.py", "openai3", "openai", OPENAI_LLAMA, ("sync",), "llama"),
    Client("openai 2 Python async", "openai_python.py", "openai2", "openai", {"chat": REAL}, ("async",), "llama"),
    Client(
        "anthropic Python sync", "anthropic_python.py", "openai3", "anthropic", {"messages": REAL}, ("sync",), "llama"
    ),
    Client("openai Node", "openai_npm.mjs", "node", "openai", {"chat": REAL, "responses": BOTH}, (), "llama"),
    Client("anthropic Node", "anthropic_npm.mjs", "node", "@anthropic-ai/sdk", {"messages": REAL}, (), "llama"),
    Client("curl", "curl.py", "openai3", "", {"http": (*BOTH, "chunked", "expect", "compressed")}, (), "llama"),
]
CLIENTS = ON_AIMOCK + ON_LLAMA


class Cell(NamedTuple):
    """One field of the table."""

    client: Client
    api: str
    scenario: str


def cells() -> Iterator[Cell]:
    for client in CLIENTS:
        for api, scenarios in client.does.items():
            yield from (Cell(client, api, scenario) for scenario in scenarios)
