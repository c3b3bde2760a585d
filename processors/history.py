"""A conversation as a chain of keyed hashes: the same words give the same key, whoever serialised them.

    asked     u1 a1 u2 a2 u3          what the request holds
    turns        └─ k1  └─ k2         a key after every turn of the assistant
    answers                └─ k3      the same with each answer that came; the next request has it among its turns

Left out, because clients change or drop them between two requests: system prompts (they hold the date), reasoning, what
the provider's own tools did, the ids and the results of tools. An assistant's turn is its text and its calls, however
many messages they are spread over; arguments count as values, not as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from pipeline.records import Exchange, Json, Message, Part

LONGEST: Final = 5000  # messages; a longer conversation has no keys
CHOICES: Final = 16  # answers of one exchange that are looked at
KEY_SIZE: Final = 12  # bytes
TEXTS: Final = frozenset(("text", "refusal"))
MEDIA: Final = frozenset(("blob", "uri", "file"))
SYSTEM: Final = frozenset(("system", "developer"))
ZERO_FRACTION: Final = re.compile(rb"\.0+(?=[,}\]])")  # JavaScript writes 1.0 as 1


class History(NamedTuple):
    """The keys of one exchange's conversation."""

    asked: bytes  # the whole request
    turns: tuple[bytes, ...]  # the request up to each turn of the assistant, oldest first
    answers: tuple[bytes, ...]  # the request and each answer to it; none came: the request alone


def history_of(exchange: Exchange, scope: bytes, salt: bytes) -> History | None:
    """The keys, which are others for another scope or salt (at most 64 bytes); None for too long a conversation."""
    if len(exchange.input_messages) > LONGEST:
        return None
    chain = blake2b(scope, key=salt, digest_size=KEY_SIZE)
    turns, turn = [], []
    for message in exchange.input_messages:
        if message.role == "assistant":
            turn.append(message)
        elif message.role not in SYSTEM:
            if turn:
                turns.append(_after(chain, turn))
                turn = []
            chain.update(_others_words(message))
    open_chain = chain.copy()  # an answer goes on with the turn that the request has begun
    if turn:
        turns.append(_after(chain, turn))
    asked = chain.digest()
    answers = [_after(open_chain.copy(), [*turn, answer]) for answer in exchange.output_messages[:CHOICES]]
    return History(asked, tuple(turns), tuple(answers) or (asked,))


def _after(chain: Any, turn: Sequence[Message]) -> bytes:
    """The key with this turn of the assistant's; the chain now holds it."""
    chain.update(_own_words(turn))
    return chain.digest()  # type: ignore[no-any-return]


def _own_words(turn: Iterable[Message]) -> bytes:
    """Its text in one piece, then its calls: nothing tells into how many messages they were divided."""
    parts = [part for message in turn for part in message.parts]
    calls = b"".join([_call(part) for part in parts if part.type == "tool_call"])
    return _tagged(b"a", _text(parts)) + calls


def _others_words(message: Message) -> bytes:
    """What a user says and shows; of a tool's result nothing is left."""
    shown = b"".join([_tagged(b"m", _medium(part)) for part in message.parts if part.type in MEDIA])
    return b"" if message.role == "tool" else _tagged(b"u", _text(message.parts)) + shown


def _text(parts: Sequence[Part]) -> str:
    if len(parts) == 1 and parts[0].type == "text":
        return (parts[0].content or "").strip()
    return "".join(_contents(parts)).strip()


def _contents(parts: Iterable[Part]) -> Iterator[str]:
    return (part.content for part in parts if part.type in TEXTS and part.content)


def _medium(part: Part) -> str:
    return part.digest or part.uri or part.file_id or ""


def _call(part: Part) -> bytes:
    return _tagged(b"c", part.name or "") + _tagged(b"v", _value(part.arguments))


def _value(arguments: Json) -> str:
    """Arguments as JSON in one way of writing; none at all and an empty object are the same."""
    if not arguments:
        return ""
    try:
        written = orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half a surrogate pair, a number beyond 64 bits
        return repr(arguments)
    return ZERO_FRACTION.sub(b"", written).decode()


def _tagged(tag: bytes, text: str) -> bytes:
    """The text with its kind and length before it, so that no text can pass for two; nothing for none."""
    data = text.encode("utf-8", "surrogatepass")
    return b"%b%d:%b" % (tag, len(data), data) if data else b""
