"""A bill written before its calls are made: what each endpoint will answer, and what every answer must come to.

The counts come first. Each template writes them down by the rules of its API (with cached tokens or beside them, with
thoughts or beside them); what they cost is reckoned from the same counts and a short list of prices, in decimals.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import cycle, islice, pairwise
from typing import Any, NamedTuple

import brotli

from tests.support import event_stream
from tests.support.raw_http import chunked, response_bytes

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CALL_HEADER = "x-call"
MAX_BODY = 48 * 1024  # bytes that the copy of a body may hold
# Route and upstream → its provider; all of them are one server.
UPSTREAMS = {
    "openai": "openai",
    "azure": "azure.ai.openai",
    "anthropic": "anthropic",
    "gemini": "gcp.gemini",
    "bedrock": "aws.bedrock",
    "cohere": "cohere",
    "groq": "groq",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "openrouter": "openrouter",
    "deepseek": "deepseek",
    "ollama": "ollama",
    "own": "own",
}


class Counts(NamedTuple):
    """What was used. Input holds what is cached and every modality, output the reasoning."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0  # of cache_write
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    searches: int = 0


class Price(NamedTuple):
    """US dollars: for a million tokens, a thousand searches, one request."""

    input: str
    output: str = "0"
    cache_read: str = "0"
    cache_write: str = "0"
    cache_write_1h: str = "0"
    audio_input: str = "0"
    audio_output: str = "0"
    searches: str = "0"
    request: str = "0"
    limit: int | None = None  # input tokens above which every token has the price of `above`
    above: Price | None = None

    def cost(self, counts: Counts) -> Decimal:
        """What these counts cost."""
        if self.above and self.limit is not None and counts.input > self.limit:
            return self.above.cost(counts)
        tokens = (
            (counts.input - counts.cache_read - counts.cache_write - counts.audio_input, self.input),
            (counts.cache_read, self.cache_read),
            (counts.cache_write - counts.cache_write_1h, self.cache_write),
            (counts.cache_write_1h, self.cache_write_1h),
            (counts.audio_input, self.audio_input),
            (counts.output - counts.audio_output, self.output),
            (counts.audio_output, self.audio_output),
        )
        millionths = sum((count * Decimal(rate) for count, rate in tokens), Decimal())
        return millionths / 10**6 + counts.searches * Decimal(self.searches) / 1000 + Decimal(self.request)


# As genai-prices 0.2.3 lists them, read on 2026-11-20.
GPT_4O_MINI = Price("0.15", "0.6", cache_read="0.075")
O4_MINI = Price("1.1", "4.4", cache_read="0.275")
GPT_5 = Price("1.25", "10", cache_read="0.125")
GPT_AUDIO = Price("2.5", "10", audio_input="32", audio_output="64")
GPT_35_INSTRUCT = Price("1.5", "2")
EMBEDDING_3_SMALL = Price("0.02")
SONNET_45_LONG = Price("6", "22.5", cache_read="0.6", cache_write="7.5", cache_write_1h="12", searches="10")
SONNET_45 = Price("3", "15", "0.3", "3.75", "6", searches="10", limit=200_000, above=SONNET_45_LONG)
HAIKU_45 = Price("1", "5", cache_read="0.1", cache_write="1.25", cache_write_1h="2", searches="10")
GEMINI_25_PRO = Price("1.25", "10", "0.125", limit=200_000, above=Price("2.5", "15", cache_read="0.25"))
REGIONAL_SONNET_45 = Price("3.3", "16.5", cache_read="0.33", cache_write="4.125", cache_write_1h="6.6")
COMMAND_A = Price("2.5", "10")
LLAMA_33_70B = Price("0.59", "0.79")
MISTRAL_LARGE = Price("2", "6")
GROK_4 = Price("3", "15", cache_read="0.75")
# By contract, from the file below.
DEEPSEEK = Price("0.21", "0.84", cache_read="0.021", request="0.0005")
OWN_PRICES = """
deepseek:
  "deepseek-*":
    - {input: 9, output: 9}
    - {since: 2025-01-01, input: 0.21, output: 0.84, cache_read: 0.021, per_request: 0.0005}
    - {since: 9999-01-01, input: 8, output: 8}
"""


class Answer(NamedTuple):
    """What an endpoint says, before it is packed and framed."""

    content: bytes
    kind: str = "application/json"
    status: int = 200


class Step(NamedTuple):
    """One request, its answer, and what they must come to. Without a price the cost is unknown."""

    path: str
    request: Any  # JSON; None for a GET
    answer: Answer
    counts: Counts = Counts()
    price: Price | None = None
    source: str = "provider"  # who counted: provider, estimated, none
    inference: bool = True  # else its tokens are those of another operation

    @property
    def cost(self) -> Decimal | None:
        """None where it is unknown, nothing was counted, or what was counted is an estimate."""
        return self.price.cost(self.counts) if self.price and self.source == "provider" else None


class Item(NamedTuple):
    """A step as it goes over the wire."""

    name: str
    step: Step
    method: str
    headers: list[tuple[str, str]]
    body: bytes | None
    content: bytes  # of the answer, packed
    response: bytes  # head and framing included


Call = tuple[Item, ...]


class Draw(random.Random):
    """What differs from call to call; the same for the same seed."""

    def text(self, words: int) -> str:
        return " ".join(self.choices(WORDS, k=words)).capitalize() + "."

    def mark(self) -> str:
        return f"{self.getrandbits(96):024x}"


WORDS = ("the", "harbour", "lies", "north", "of", "a", "quiet", "town", "where", "boats", "leave", "at", "dawn", "and")


def bill(calls: int) -> list[Call]:
    """So many calls over all templates in turn; each template meets every way of packing."""
    draw = Draw(2026)
    packings = cycle(PACKINGS)
    made = islice(cycle(TEMPLATES), calls)
    return [_call(f"{number:03}-{make.__name__}", make(draw), next(packings), draw) for number, make in enumerate(made)]


def _call(name: str, steps: Iterable[Step], packing: str, draw: Draw) -> Call:
    return tuple([_item(f"{name}-{place}", step, packing, draw) for place, step in enumerate(steps)])


def _item(name: str, step: Step, packing: str, draw: Draw) -> Item:
    body = None if step.request is None else json.dumps(step.request).encode()
    content = PACKINGS[packing](step.answer.content)
    headers = [("Content-Type", "application/json")] if body is not None else []
    method = "GET" if body is None else "POST"
    response = _framed(step.answer, content, packing, draw)
    return Item(name, step, method, [*headers, (CALL_HEADER, name)], body, content, response)


PACKINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "none": bytes,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


def _framed(answer: Answer, content: bytes, packing: str, draw: Draw) -> bytes:
    """With its length, or in chunks that heed no event's border."""
    headers = [("Content-Type", answer.kind)] + ([] if packing == "none" else [("Content-Encoding", packing)])
    if answer.status != 200 or (answer.kind == "application/json" and draw.random() < 0.5):
        return response_bytes(answer.status, headers, content)
    cuts = sorted({0, len(content), *(draw.randrange(1, len(content)) for _ in range(draw.randrange(6)))})
    chunks = [content[start:end] for start, end in pairwise(cuts)]
    return response_bytes(200, [*headers, ("Transfer-Encoding", "chunked")], None) + chunked(*chunks)


def plain(body: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(body, indent=2).encode(), status=status)


def events(*said: Any) -> Answer:
    """Server-sent events without names, as OpenAI's, Gemini's and Cohere's; a text is sent as it is."""
    texts = [event if isinstance(event, str) else json.dumps(event) for event in said]
    return Answer("".join(f"data: {text}\n\n" for text in texts).encode(), "text/event-stream; charset=utf-8")


def named_events(*said: Any) -> Answer:
    """Server-sent events named as their type."""
    texts = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in said]
    return Answer("".join(texts).encode(), "text/event-stream")


# OpenAI's chat completions, and those who speak them


def chat_request(draw: Draw, model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": draw.text(9)}], **more}


def chat_usage(counts: Counts) -> dict[str, Any]:
    """OpenAI's: cached tokens, sound and reasoning are parts."""
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.cache_read, "audio_tokens": counts.audio_input},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning, "audio_tokens": counts.audio_output},
    }


def completion(draw: Draw, model: str, usage: Any, **more: Any) -> Answer:
    """A whole chat completion."""
    message = {"role": "assistant", "content": draw.text(12), "refusal": None, **more}
    choice: dict[str, Any] = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": f"chatcmpl-{draw.mark()}", "object": "chat.completion", "created": 1_790_000_000, "model": model}
    return plain({**head, "choices": [choice], "usage": usage, "service_tier": "default"})


def completion_chunks(draw: Draw, model: str, *last: Any, words: int = 12) -> Answer:
    """A streamed chat completion; `last` are the members of the chunks after the text."""
    head = {"id": f"chatcmpl-{draw.mark()}", "object": "chat.completion.chunk", "created": 1_790_000_000}
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word + " "} for word in draw.text(words).split()]
    said: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    said.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return events(*[{**head, "model": model, **chunk} for chunk in (*said, *last)], "[DONE]")


CHAT = "/v1/chat/completions"


def openai_chat(draw: Draw) -> Iterator[Step]:
    counts = Counts(draw.randint(8, 4000), draw.randint(1, 900))
    answer = completion(draw, "gpt-4o-mini-2024-07-18", chat_usage(counts))
    yield Step(f"/openai{CHAT}", chat_request(draw, "gpt-4o-mini"), answer, counts, GPT_4O_MINI)


def openai_chat_stream(draw: Draw) -> Iterator[Step]:
    counts = Counts(draw.randint(2000, 4000), draw.randint(1, 900), cache_read=draw.randint(1, 15) * 128)
    request = chat_request(draw, "gpt-4o-mini", stream=True, stream_options={"include_usage": True})
    answer = completion_chunks(draw, "gpt-4o-mini-2024-07-18", {"choices": [], "usage": chat_usage(counts)})
    yield Step(f"/openai{CHAT}", request, answer, counts, GPT_4O_MINI)


def openai_chat_stream_long(draw: Draw) -> Iterator[Step]:
    """More than the copy holds, unless it comes packed; the counts are at the end."""
    counts = Counts(draw.randint(8, 4000), draw.randint(1, 900))
    request = chat_request(draw, "gpt-4o-mini", stream=True, stream_options={"include_usage": True})
    last = {"choices": [], "usage": chat_usage(counts)}
    answer = completion_chunks(draw, "gpt-4o-mini-2024-07-18", last, words=MAX_BODY // 200)
    yield Step(f"/openai{CHAT}", request, answer, counts, GPT_4O_MINI)


def openai_chat_stream_uncounted(draw: Draw) -> Iterator[Step]:
    answer = completion_chunks(draw, "gpt-4o-mini-2024-07-18")
    request = chat_request(draw, "gpt-4o-mini", stream=True)
    yield Step(f"/openai{CHAT}", request, answer, price=GPT_4O_MINI, source="estimated")


def openai_chat_reasoning(draw: Draw) -> Iterator[Step]:
    reasoning = draw.randint(64, 8000)
    counts = Counts(
        draw.randint(2000, 9000), reasoning + draw.randint(1, 900), draw.randint(1, 15) * 128, reasoning=reasoning
    )
    answer = completion(draw, "o4-mini-2025-04-16", chat_usage(counts))
    yield Step(f"/openai{CHAT}", chat_request(draw, "o4-mini", reasoning_effort="high"), answer, counts, O4_MINI)


def openai_chat_audio(draw: Draw) -> Iterator[Step]:
    heard, said = draw.randint(50, 900), draw.randint(50, 900)
    counts = Counts(heard + draw.randint(5, 99), said + draw.randint(5, 99), audio_input=heard, audio_output=said)
    spoken = {
        "id": f"audio_{draw.mark()}",
        "expires_at": 1_790_003_600,
        "data": "UklGRiQAAABXQVZF",
        "transcript": "Hi.",
    }
    answer = completion(draw, "gpt-audio-2025-08-28", chat_usage(counts), content=None, audio=spoken)
    request = chat_request(draw, "gpt-audio", modalities=["text", "audio"], audio={"voice": "coral", "format": "wav"})
    yield Step(f"/openai{CHAT}", request, answer, counts, GPT_AUDIO)


def azure_chat(draw: Draw) -> Iterator[Step]:
    """The path names the deployment, the answer the model."""
    counts = Counts(draw.randint(8, 4000), draw.randint(1, 900))
    answer = completion(draw, "gpt-4o-mini-2024-07-18", chat_usage(counts))
    request = {"messages": [{"role": "user", "content": draw.text(9)}]}
    path = "/azure/openai/deployments/support-bot/chat/completions?api-version=2024-10-21"
    yield Step(path, request, answer, counts, GPT_4O_MINI)


def mistral_chat(draw: Draw) -> Iterator[Step]:
    counts = Counts(draw.randint(8, 4000), draw.randint(1, 900))
    usage = {
        "prompt_tokens": counts.input,
        "total_tokens": counts.input + counts.output,
        "completion_tokens": counts.output,
    }
    answer = completion(draw, "mistral-large-latest", usage)
    yield Step(f"/mistral{CHAT}", chat_request(draw, "mistral-large-latest"), answer, counts, MISTRAL_LARGE)


def groq_stream(draw: Draw) -> Iterator[Step]:
    """Reports in `x_groq`, whether asked or not."""
    counts = Counts(draw.randint(8, 4000), draw.randint(1, 900))
    last = {"choices": [], "x_groq": {"id": f"req_{draw.mark()}", "usage": chat_usage(counts) | {"total_time": 0.02}}}
    model = "llama-3.3-70b-versatile"
    answer = completion_chunks(draw, model, last)
    yield Step(f"/groq/openai{CHAT}", chat_request(draw, model, stream=True), answer, counts, LLAMA_33_70B)


def xai_chat(draw: Draw) -> Iterator[Step]:
    """Counts reasoning beside the completion."""
    reasoning, said = draw.randint(64, 4000), draw.randint(1, 900)
    counts = Counts(draw.randint(300, 4000), said + reasoning, draw.randint(1, 300), reasoning=reasoning)
    usage = chat_usage(counts) | {"completion_tokens": said}
    yield Step(f"/xai{CHAT}", chat_request(draw, "grok-4"), completion(draw, "grok-4-0709", usage), counts, GROK_4)


def deepseek_chat(draw: Draw) -> Iterator[Step]:
    """Says what the cache gave and what it did not; the price is the user's own."""
    hit, missed = draw.randint(0, 30) * 64, draw.randint(8, 4000)
    counts = Counts(hit + missed, draw.randint(1, 900), cache_read=hit)
    usage = {"prompt_tokens": counts.input, "completion_tokens": counts.output, "prompt_cache_hit_tokens": hit}
    answer = completion(draw, "deepseek-chat", usage | {"prompt_cache_miss_tokens": missed})
    yield Step("/deepseek/chat/completions", chat_request(draw, "deepseek-chat"), answer, counts, DEEPSEEK)


def openrouter_chat(draw: Draw) -> Iterator[Step]:
    """Says itself what the call cost."""
    counts = Counts(draw.randint(8, 4000), draw.randint(1, 900))
    stated = Decimal(draw.randint(1, 10**6)) / 10**8
    answer = completion(draw, "openai/gpt-4o-mini", {**chat_usage(counts), "cost": float(stated)})
    price = Price("0", request=str(stated))
    yield Step("/openrouter/api" + CHAT, chat_request(draw, "openai/gpt-4o-mini"), answer, counts, price)


def own_server_stream(draw: Draw) -> Iterator[Step]:
    """A model of one's own, which nobody has a price for."""
    counts = Counts(draw.randint(8, 4000), draw.randint(1, 900))
    request = chat_request(draw, "support-7b", stream=True, stream_options={"include_usage": True})
    last = {"choices": [], "usage": {"prompt_tokens": counts.input, "completion_tokens": counts.output}}
    yield Step(f"/own{CHAT}", request, completion_chunks(draw, "support-7b", last), counts)


# OpenAI's other APIs


def openai_completions(draw: Draw) -> Iterator[Step]:
    counts = Counts(draw.randint(4, 900), draw.randint(1, 256))
    model = "gpt-3.5-turbo-instruct"
    choice = {"text": draw.text(8), "index": 0, "logprobs": None, "finish_reason": "length"}
    head = {
        "id": f"cmpl-{draw.mark()}",
        "object": "text_completion",
        "created": 1_790_000_000,
        "model": f"{model}:20230824-v2",
    }
    usage = {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
    }
    request = {"model": model, "prompt": draw.text(6), "max_tokens": 256}
    yield Step(
        "/openai/v1/completions", request, plain({**head, "choices": [choice], "usage": usage}), counts, GPT_35_INSTRUCT
    )


def openai_embeddings(draw: Draw) -> Iterator[Step]:
    counts = Counts(draw.randint(4, 8000))
    data = [{"object": "embedding", "index": 0, "embedding": [0.0123, -0.0456, 0.0789]}]
    usage = {"prompt_tokens": counts.input, "total_tokens": counts.input}
    model = "text-embedding-3-small"
    answer = plain({"object": "list", "data": data, "model": model, "usage": usage})
    request = {"model": model, "input": draw.text(20)}
    yield Step("/openai/v1/embeddings", request, answer, counts, EMBEDDING_3_SMALL, inference=False)


RESPONSES = "/openai/v1/responses"


def thought_counts(draw: Draw) -> Counts:
    reasoning = draw.randint(64, 4000)
    return Counts(
        draw.randint(2000, 9000), reasoning + draw.randint(1, 900), draw.randint(0, 15) * 128, reasoning=reasoning
    )


def response(response_id: str, text: str | None, counts: Counts | None, status: str = "completed") -> dict[str, Any]:
    """A response object; without counts its usage is null."""
    content: list[Any] = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    message = {
        "id": f"msg_{response_id}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }
    return {
        "id": response_id,
        "object": "response",
        "created_at": 1_790_000_000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": "gpt-5-2025-08-07",
        "output": [] if text is None else [message],
        "service_tier": "default" if counts else "auto",
        "usage": responses_usage(counts) if counts else None,
        "metadata": {},
    }


def responses_usage(counts: Counts) -> dict[str, Any]:
    return {
        "input_tokens": counts.input,
        "input_tokens_details": {"cached_tokens": counts.cache_read},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.input + counts.output,
    }


def openai_responses(draw: Draw) -> Iterator[Step]:
    """A response, and the same fetched again."""
    counts, response_id = thought_counts(draw), f"resp_{draw.mark()}"
    answer = plain(response(response_id, draw.text(12), counts))
    yield Step(RESPONSES, {"model": "gpt-5", "input": draw.text(9)}, answer, counts, GPT_5)
    yield Step(f"{RESPONSES}/{response_id}", None, answer, source="none")


def openai_responses_stream(draw: Draw) -> Iterator[Step]:
    counts, response_id, text = thought_counts(draw), f"resp_{draw.mark()}", draw.text(12)
    at = {"item_id": f"msg_{response_id}", "output_index": 0, "content_index": 0}
    done = response(response_id, text, counts)
    item = done["output"][0]
    said: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(response_id, None, None, "in_progress")},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "content": [], "status": "in_progress"},
        },
        {"type": "response.content_part.added", **at, "part": {"type": "output_text", "text": "", "annotations": []}},
        *[{"type": "response.output_text.delta", **at, "delta": piece} for piece in (text[:20], text[20:])],
        {"type": "response.output_text.done", **at, "text": text},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ]
    answer = named_events(*[{**event, "sequence_number": number} for number, event in enumerate(said)])
    yield Step(RESPONSES, {"model": "gpt-5", "input": draw.text(9), "stream": True}, answer, counts, GPT_5)


def openai_responses_background(draw: Draw) -> Iterator[Step]:
    """Asked for, looked after too early, fetched, and fetched once more."""
    counts, response_id = thought_counts(draw), f"resp_{draw.mark()}"
    queued, working, done = (
        plain({**response(response_id, text, told, status), "background": True})
        for text, told, status in (
            (None, None, "queued"),
            (None, None, "in_progress"),
            (draw.text(12), counts, "completed"),
        )
    )
    path = f"{RESPONSES}/{response_id}"
    yield Step(RESPONSES, {"model": "gpt-5", "input": draw.text(9), "background": True}, queued, source="none")
    yield Step(path, None, working, source="none")
    yield Step(path, None, done, counts, GPT_5, inference=False)
    yield Step(path, None, done, source="none")


# Anthropic, Gemini, Bedrock, Cohere, Ollama


def message_usage(counts: Counts) -> dict[str, Any]:
    """Anthropic's: what is cached stands beside the input."""
    short = counts.cache_write - counts.cache_write_1h
    return {
        "input_tokens": counts.input - counts.cache_read - counts.cache_write,
        "cache_creation_input_tokens": counts.cache_write,
        "cache_read_input_tokens": counts.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": counts.cache_write_1h},
        "output_tokens": counts.output,
        "service_tier": "standard",
    } | ({"server_tool_use": {"web_search_requests": counts.searches}} if counts.searches else {})


def cached_counts(draw: Draw, most: int, searches: int = 0) -> Counts:
    """A prompt of which a part is new to the cache and a part was there."""
    read, short, long = draw.randint(0, most), draw.randint(1, 4000), draw.randint(1, 4000)
    written = short + long
    return Counts(read + written + draw.randint(3, 900), draw.randint(1, 900), read, written, long, searches=searches)


def message(draw: Draw, model: str, usage: Any, text: str | None) -> dict[str, Any]:
    content: list[Any] = [] if text is None else [{"type": "text", "text": text}]
    head = {"id": f"msg_{draw.mark()}", "type": "message", "role": "assistant", "model": model, "content": content}
    return {**head, "stop_reason": None if text is None else "end_turn", "stop_sequence": None, "usage": usage}


MESSAGES = "/anthropic/v1/messages"


def anthropic_messages(draw: Draw) -> Iterator[Step]:
    """Some prompts are long enough for the higher price."""
    counts = cached_counts(draw, draw.choice((150_000, 900_000)), draw.randint(0, 5))
    answer = plain(message(draw, "claude-sonnet-4-5-20250929", message_usage(counts), draw.text(12)))
    yield Step(MESSAGES, chat_request(draw, "claude-sonnet-4-5", max_tokens=1024), answer, counts, SONNET_45)


def anthropic_messages_stream(draw: Draw) -> Iterator[Step]:
    """Counts come with the beginning and, cumulative, with the end."""
    counts = cached_counts(draw, 50_000, draw.randint(0, 2))
    begun = message(draw, "claude-haiku-4-5-20251001", message_usage(counts._replace(output=1, searches=0)), None)
    answer = named_events(
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *[
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word + " "}}
            for word in draw.text(9).split()
        ],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": message_usage(counts)},
        {"type": "message_stop"},
    )
    request = chat_request(draw, "claude-haiku-4-5", max_tokens=1024, stream=True)
    yield Step(MESSAGES, request, answer, counts, HAIKU_45)


def gemini_stream(draw: Draw) -> Iterator[Step]:
    """Counts with every event, the last one's are whole; thoughts stand beside the answer."""
    thoughts, cached = draw.randint(64, 4000), draw.randint(0, 20_000)
    prompt = cached + draw.choice((draw.randint(8, 100_000), draw.randint(200_001, 900_000)))
    counts = Counts(prompt, thoughts + draw.randint(1, 900), cache_read=cached, reasoning=thoughts)
    head = {"modelVersion": "gemini-2.5-pro", "responseId": draw.mark()}
    told: dict[str, Any] = {"promptTokenCount": prompt, "cachedContentTokenCount": cached}
    told |= {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}]}
    whole = {**told, "thoughtsTokenCount": thoughts, "candidatesTokenCount": counts.output - thoughts}
    pieces = ({"text": "Let me see.", "thought": True}, {"text": draw.text(5)})
    contents = [{"index": 0, "content": {"role": "model", "parts": [part]}} for part in pieces]
    answer = events(
        {"candidates": [contents[0]], "usageMetadata": {**told, "thoughtsTokenCount": 9}, **head},
        {"candidates": [contents[1] | {"finishReason": "STOP"}], "usageMetadata": whole, **head},
    )
    request = {"contents": [{"role": "user", "parts": [{"text": draw.text(9)}]}]}
    path = "/gemini/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    yield Step(path, request, answer, counts, GEMINI_25_PRO)


def bedrock_stream(draw: Draw) -> Iterator[Step]:
    """Amazon's event stream; what is cached stands beside the input."""
    counts = cached_counts(draw, 50_000)
    rest, short = counts.input - counts.cache_read - counts.cache_write, counts.cache_write - counts.cache_write_1h
    usage = {
        "inputTokens": rest,
        "outputTokens": counts.output,
        "totalTokens": counts.input + counts.output,
        "cacheReadInputTokens": counts.cache_read,
        "cacheWriteInputTokens": counts.cache_write,
        "cacheDetails": [{"ttl": "5m", "inputTokens": short}, {"ttl": "1h", "inputTokens": counts.cache_write_1h}],
    }
    said = (
        ("messageStart", {"role": "assistant"}),
        *[("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": draw.text(5)}}) for _ in range(4)],
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": usage, "metrics": {"latencyMs": 412}}),
    )
    answer = Answer(b"".join(event_stream.event(*event) for event in said), "application/vnd.amazon.eventstream")
    request = {"messages": [{"role": "user", "content": [{"text": draw.text(9)}]}]}
    path = "/bedrock/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"
    yield Step(path, request, answer, counts, REGIONAL_SONNET_45)


def cohere_chat(draw: Draw) -> Iterator[Step]:
    """Bills less than what went through the model."""
    counts = Counts(draw.randint(3, 900), draw.randint(1, 900))
    usage = {
        "billed_units": {"input_tokens": counts.input, "output_tokens": counts.output},
        "tokens": {"input_tokens": counts.input + 68, "output_tokens": counts.output + 2},
    }
    said = {"role": "assistant", "content": [{"type": "text", "text": draw.text(9)}]}
    answer = plain({"id": draw.mark(), "message": said, "finish_reason": "COMPLETE", "usage": usage})
    yield Step("/cohere/v2/chat", chat_request(draw, "command-a-03-2025"), answer, counts, COMMAND_A)


def ollama_chat(draw: Draw) -> Iterator[Step]:
    """Lines of JSON from one's own machine, where nothing has a price."""
    counts = Counts(draw.randint(8, 4000), draw.randint(1, 900))
    head = {"model": "llama3.2", "created_at": "2026-11-20T12:00:00Z"}
    said = [{"message": {"role": "assistant", "content": word + " "}, "done": False} for word in draw.text(7).split()]
    end = {"message": {"role": "assistant", "content": ""}, "done_reason": "stop", "done": True}
    counted = {"prompt_eval_count": counts.input, "eval_count": counts.output, "total_duration": 48_835_834}
    lines = [json.dumps({**head, **line}) + "\n" for line in (*said, end | counted)]
    yield Step(
        "/ollama/api/chat",
        chat_request(draw, "llama3.2"),
        Answer("".join(lines).encode(), "application/x-ndjson"),
        counts,
    )


# Calls that fail: no tokens, no cost


def refused_by_openai(draw: Draw) -> Iterator[Step]:
    error = {"message": "Unsupported value.", "type": "invalid_request_error", "param": "temperature", "code": None}
    request = chat_request(draw, "gpt-4o-mini", temperature=9)
    yield Step(f"/openai{CHAT}", request, plain({"error": error}, 400), source="none")


def limited_by_groq(draw: Draw) -> Iterator[Step]:
    error = {"message": "Rate limit reached.", "type": "tokens", "code": "rate_limit_exceeded"}
    request = chat_request(draw, "llama-3.3-70b-versatile", stream=True)
    yield Step(f"/groq/openai{CHAT}", request, plain({"error": error}, 429), source="none")


def overloaded_anthropic(draw: Draw) -> Iterator[Step]:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    request = chat_request(draw, "claude-sonnet-4-5", max_tokens=1024)
    yield Step(MESSAGES, request, plain(error, 529), source="none")


TEMPLATES: tuple[Callable[[Draw], Iterator[Step]], ...] = (
    openai_chat,
    openai_chat_stream,
    openai_chat_stream_long,
    openai_chat_stream_uncounted,
    openai_chat_reasoning,
    openai_chat_audio,
    azure_chat,
    mistral_chat,
    groq_stream,
    xai_chat,
    deepseek_chat,
    openrouter_chat,
    own_server_stream,
    openai_completions,
    openai_embeddings,
    openai_responses,
    openai_responses_stream,
    openai_responses_background,
    anthropic_messages,
    anthropic_messages_stream,
    gemini_stream,
    bedrock_stream,
    cohere_chat,
    ollama_chat,
    refused_by_openai,
    limited_by_groq,
    overloaded_anthropic,
)
