"""What the bench sends and answers: a chat completion of ordinary size, whole or streamed.

About 1 KB of request in three messages, about 1.5 KB of answer, about 330 bytes a streamed chunk. Each chunk
carries the time it was sent in a field of fixed width that real streams have too (`obfuscation`).
"""

from __future__ import annotations

import json
import re
import time

PATH = "/v1/chat/completions"
STREAM_HEADER = "x-bench-stream"  # chunks/gap in ms: asks the upstream for a stream
MODEL = "gpt-4o-mini"
SERVED_MODEL = "gpt-4o-mini-2024-07-18"
ANSWER = (
    "Yes. A parcel that has not been opened can be sent back within thirty days of delivery, and the label in the "
    "box covers the postage. Hand it in at any post office, keep the receipt, and the refund is on the card you paid "
    "with within five working days of its arrival in our warehouse. An opened parcel can be exchanged for another "
    "size or colour, but not refunded, unless the article is damaged; in that case please send one photograph of "
    "the damage and the number of the order, and we will have it collected from your door on a day that suits you. "
    "Orders paid with a voucher are refunded as a voucher of the same value, valid for two years. If you moved since "
    "you placed the order, tell us the new address before sending anything back, so that a replacement finds you."
)
QUESTION = "Can I send back the blue jacket I ordered two weeks ago? It is still in its box, but I lost the receipt."
RULES = (
    "You are the assistant of a shop for outdoor clothing. Answer from the rules below and from nothing else; when "
    "they do not say, say so and offer to hand over to a colleague. Unopened parcels: refund within thirty days of "
    "delivery, label in the box. Opened parcels: exchange only, unless damaged. Damaged articles: one photograph and "
    "the order number, then we collect. Vouchers are refunded as vouchers. Refunds take five working days."
)
EARLIER = "Hello! I can help with orders, returns and exchanges. Do you have the number of your order at hand?"
USAGE = {
    "prompt_tokens": 187,
    "completion_tokens": 151,
    "total_tokens": 338,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0},
}
STAMP = re.compile(rb'"obfuscation":"(\d{20})"')


def request_body(stream: bool = False) -> bytes:
    """A chat request of three messages, as a client sends it."""
    messages = [
        {"role": "system", "content": RULES},
        {"role": "assistant", "content": EARLIER},
        {"role": "user", "content": QUESTION},
    ]
    request: dict[str, object] = {"model": MODEL, "messages": messages, "temperature": 0.2, "max_tokens": 400}
    if stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(request).encode()


def request(authority: str, path: str = PATH, stream: str | None = None) -> bytes:
    """The whole request as bytes; `stream` is the value of STREAM_HEADER."""
    body = request_body(stream is not None)
    fields = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers(authority, stream).items())]
    return "\r\n".join([*fields, f"Content-Length: {len(body)}", "", ""]).encode() + body


def headers(authority: str, stream: str | None = None) -> dict[str, str]:
    """What an ordinary SDK sends, without the length."""
    fields = {
        "Host": authority,
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "OpenAI/Python 2.11.0",
        "Authorization": "Bearer sk-bench-0000000000000000",
    }
    return fields | ({STREAM_HEADER: stream} if stream else {})


def answer() -> bytes:
    """The whole non-stream response as bytes."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []},
        "logprobs": None,
        "finish_reason": "stop",
    }
    whole = {"id": "chatcmpl-bench", "object": "chat.completion", "created": 1_753_000_000, "model": SERVED_MODEL}
    body = json.dumps(whole | {"choices": [choice], "usage": USAGE, "service_tier": "default"}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_bench\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nx-request-id: req_bench\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def event(**fields: object) -> bytes:
    """One server-sent event with a chat.completion.chunk."""
    whole: dict[str, object] = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "model": SERVED_MODEL}
    whole |= {"created": 1_753_000_000, "service_tier": "default", "system_fingerprint": "fp_560af6e559"} | fields
    text = json.dumps(whole, separators=(",", ":"))
    return b"data: " + text.encode() + b"\n\n"


def framed(body: bytes) -> bytes:
    """`body` as one chunk of the chunked transfer coding."""
    return b"%x\r\n%s\r\n" % (len(body), body)


def stamped_later(reason: str | None = None, **delta: str) -> bytes:
    """A framed chunk of the answer, as a template for the time it is sent at."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return framed(event(choices=[choice], usage=None, obfuscation="0" * 20)).replace(b"0" * 20, b"%020d")


WORD_CHUNKS = tuple(stamped_later(content=f" {word}") for word in ANSWER.split())
LAST_CHUNKS = b"".join(
    (stamped_later("stop"), framed(event(choices=[], usage=USAGE)), framed(b"data: [DONE]\n\n"), b"0\r\n\r\n")
)


def word_chunk(index: int) -> bytes:
    """The chunk with the stream's `index`th word, stamped with now."""
    return WORD_CHUNKS[index % len(WORD_CHUNKS)] % time.monotonic_ns()


def last_chunks() -> bytes:
    """The finish reason (stamped), the usage, [DONE] and the end of the body, to be written at once."""
    return LAST_CHUNKS % time.monotonic_ns()
