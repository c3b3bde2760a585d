"""WebSocket messages out of one side's bytes; the websockets library sends them, and reads the same."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol, Side, State

from wire import bodies, websocket
from wire.websocket import Agreed, Deflate, WebSocketMessage, agreed, closing, messages

DEFLATES = [None, *[Deflate(bits, takeover) for bits in (9, 15) for takeover in (True, False)]]
# What a side does: a message in these fragments, each followed by pings, as text or binary.
SENT = st.lists(
    st.tuples(
        st.lists(st.tuples(st.text("ab\u00e9 ", max_size=200), st.booleans()), min_size=1, max_size=3), st.booleans()
    ),
    max_size=5,
)


def protocol(side: Side, deflate: Deflate | None, sends: bool) -> Protocol:
    """One end of a connection that compresses as agreed in the direction that is looked at."""
    endpoint = Protocol(side, state=State.OPEN, max_size=None)
    if deflate:
        bare, bits = (True, not deflate.takeover), (15, deflate.window_bits)  # of the other direction, of this one
        remote, local = (0, 1) if sends else (1, 0)
        endpoint.extensions = [PerMessageDeflate(bare[remote], bare[local], bits[remote], bits[local])]
    return endpoint


def send(sender: Protocol, sent: Any) -> list[tuple[str, bytes]]:
    """Do what is to be done; the messages and pings, each when it ended."""
    told = []
    for fragments, is_text in sent:
        for n, (fragment, pinged) in enumerate(fragments):
            fin = n == len(fragments) - 1
            data = fragment.encode()
            if n:
                sender.send_continuation(data, fin)
            else:
                (sender.send_text if is_text else sender.send_binary)(data, fin)
            if fin:
                told.append(("text" if is_text else "binary", "".join(text for text, _ in fragments).encode()))
            if pinged:
                sender.send_ping(b"ping")
                told.append(("ping", b"ping"))
    return told


def sent_bytes(sender: Protocol) -> bytes:
    return b"".join(sender.data_to_send())


def the_library_reads(side: Side, deflate: Deflate | None, data: bytes) -> list[tuple[str, bytes]]:
    receiver = protocol(side, deflate, sends=False)
    receiver.receive_data(data)
    told: list[tuple[str, bytes]] = []
    begun: list[Frame] = []
    for frame in receiver.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
            told.append((frame.opcode.name.lower(), bytes(frame.data)))
            continue
        begun.append(frame)
        if frame.fin:
            told.append((begun[0].opcode.name.lower(), b"".join([bytes(each.data) for each in begun])))
            begun = []
    return told


def plain(read: list[WebSocketMessage]) -> list[tuple[str, bytes]]:
    return [(message.kind, message.data) for message in read]


@given(sent=SENT, deflate=st.sampled_from(DEFLATES), client=st.booleans())
def test_what_the_library_sends_is_read(sent: Any, deflate: Deflate | None, client: bool) -> None:
    sender = protocol(CLIENT if client else SERVER, deflate, sends=True)
    told = send(sender, sent)
    data = sent_bytes(sender)
    read, problem = messages(data, masked=client, deflate=deflate)
    assert (plain(read), problem) == (told, None)
    assert plain(read) == the_library_reads(SERVER if client else CLIENT, deflate, data)


@given(sent=SENT, deflate=st.sampled_from(DEFLATES), data=st.data())
def test_every_cut_gives_the_messages_before_it(sent: Any, deflate: Deflate | None, data: st.DataObject) -> None:
    sender = protocol(CLIENT, deflate, sends=True)
    told = send(sender, sent)
    whole = sent_bytes(sender)
    length = data.draw(st.integers(0, len(whole)))
    read, problem = messages(whole[:length], masked=True, deflate=deflate)
    assert plain(read) == told[: len(read)]
    assert problem in ((None,) if length == len(whole) else (None, "websocket_cut"))


# With context, bytes bent so that compression ends are where the two differ: the library then reads nothing more.
@given(sent=SENT, deflate=st.sampled_from([each for each in DEFLATES if not (each and each.takeover)]), data=st.data())
def test_what_is_bent_is_read_as_far_as_the_library_does(
    sent: Any, deflate: Deflate | None, data: st.DataObject
) -> None:
    sender = protocol(CLIENT, deflate, sends=True)
    send(sender, sent)
    bent = bytearray(sent_bytes(sender))
    for _ in range(data.draw(st.integers(0, 3)) if bent else 0):
        bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    read, problem = messages(bytes(bent), masked=True, deflate=deflate)
    theirs = the_library_reads(SERVER, deflate, bytes(bent))
    assert plain(read)[: len(theirs)] == theirs
    assert problem in (None, "websocket_cut", "websocket_broken")
    if problem is None and not any(kind == "close" for kind, _ in plain(read)):
        assert plain(read) == theirs


@given(st.binary(max_size=200), st.booleans(), st.sampled_from(DEFLATES))
@settings(max_examples=200)
def test_any_bytes_never_raise(data: bytes, masked: bool, deflate: Deflate | None) -> None:
    assert messages(data, masked, deflate)[1] in (None, "websocket_cut", "websocket_broken", "expansion_limit")


def test_each_message_knows_where_it_began() -> None:
    sender = protocol(SERVER, None, sends=True)
    sender.send_text(b"one", fin=False)
    sender.send_ping(b"")
    sender.send_continuation(b"two", fin=True)
    sender.send_binary(b"x" * 200)
    sender.send_text(b"three")
    read, _ = messages(sent_bytes(sender), masked=False)
    assert [(message.offset, message.kind) for message in read] == [
        (5, "ping"),
        (0, "text"),
        (12, "binary"),
        (216, "text"),
    ]


def test_nothing_is_nothing() -> None:
    assert messages(b"", masked=True) == ([], None)


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 200_000])
@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_lengths_of_every_form(size: int, side: Side) -> None:
    sender = protocol(side, None, sends=True)
    payload = random.Random(size).randbytes(size)
    sender.send_binary(payload)
    assert plain(messages(sent_bytes(sender), masked=side is CLIENT)[0]) == [("binary", payload)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x83\x00",  # an opcode nobody knows
        b"\x8b\x00",
        b"\xa1\x00",  # bits nobody agreed on
        b"\xc1\x00",
        b"\x80\x00",  # goes on with nothing
        b"\x01\x01a\x01\x01b",  # begins within a message
        b"\x09\x00",  # a ping in pieces
        b"\x89\x7e\x00\x7e" + b"p" * 126,  # a ping too long
        b"\x81\x81\0\0\0\0a",  # masked, which a server must not
        b"\x81\x7f" + b"\xff" * 8,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_what_is_no_frame_is_named(data: bytes) -> None:
    assert messages(b"\x81\x01a" + data, masked=False) == ([WebSocketMessage(0, "text", b"a")], "websocket_broken")


def test_a_client_must_mask() -> None:
    assert messages(b"\x81\x01a", masked=True) == ([], "websocket_broken")


def test_nothing_follows_a_close() -> None:
    sender = protocol(SERVER, None, sends=True)
    sender.send_close(1008, "policy \u00e9")
    ((close,), problem) = messages(sent_bytes(sender) + b"\xff\xff", masked=False)
    assert (closing(close), problem) == ((1008, "policy \u00e9"), None)


@pytest.mark.parametrize("payload", [b"", b"\x03"])
def test_a_close_without_a_code(payload: bytes) -> None:
    assert closing(WebSocketMessage(0, "close", payload)) == (1005, "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", Agreed()),
        ("x-webkit-deflate-frame", Agreed()),
        ("permessage-deflate", Agreed(Deflate(), Deflate())),
        ("foo; a=1, Permessage-Deflate; server_no_context_takeover", Agreed(Deflate(), Deflate(15, False))),
        (
            'permessage-deflate; client_no_context_takeover; client_max_window_bits="10"; server_max_window_bits=9',
            Agreed(Deflate(10, False), Deflate(9, True)),
        ),
        ("permessage-deflate; client_max_window_bits; server_max_window_bits=99", Agreed(Deflate(), Deflate())),
    ],
)
def test_the_compression_agreed_on(value: str, expected: Agreed) -> None:
    assert agreed((("Sec-WebSocket-Extensions", value),)) == expected


def compressed(data: bytes, final: bool = False) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush(zlib.Z_FINISH if final else zlib.Z_SYNC_FLUSH)
    payload = packed if final else packed.removesuffix(b"\x00\x00\xff\xff")
    return b"\xc1\x7f" + len(payload).to_bytes(8, "big") + payload


def test_a_compressed_stream_may_end_with_a_message() -> None:
    data = compressed(b"Hello", final=True) + compressed(b"again")
    assert plain(messages(data, masked=False, deflate=Deflate())[0]) == [("text", b"Hello"), ("text", b"again")]


def test_broken_compression_is_named() -> None:
    data = compressed(b"Hello") + b"\xc1\x04\xff\xff\xff\xff"
    read, problem = messages(data, masked=False, deflate=Deflate())
    assert (plain(read), problem) == ([("text", b"Hello")], "websocket_broken")


def test_a_bomb_is_stopped() -> None:
    data = compressed(b"Hello") + compressed(bytes(bodies.FREE_EXPANSION * 4))
    assert len(data) < 10_000
    read, problem = messages(data, masked=False, deflate=Deflate())
    assert (plain(read), problem) == ([("text", b"Hello")], "expansion_limit")


def test_many_small_bombs_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "FREE_EXPANSION", 1000)
    monkeypatch.setattr(websocket, "MAX_EXPANDED", 1000)
    read, problem = messages(compressed(bytes(300)) * 9, masked=False, deflate=Deflate(15, False))
    assert (len(read), problem) == (3, "expansion_limit")
