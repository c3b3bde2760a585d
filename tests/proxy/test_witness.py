"""What left is compared with what came, over any division into pieces."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.outbox import Outbox
from proxy.witness import Witness
from tests.proxy.test_outbox import FakeTransport
from tests.support.raw_http import chunked_response, request_bytes, response_bytes
from tests.support.sidecar import sidecar
from tests.support.upstream import ScriptedUpstream, UpstreamConnection


def fed(update: Any, data: bytes, cuts: list[int]) -> None:
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(borders):
        update(data[start:end])


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)), st.lists(st.integers(0, 300)))
def test_the_same_bytes_agree_however_they_are_divided(data: bytes, came: list[int], left: list[int]) -> None:
    witness = Witness()
    fed(witness.came, data, came)
    fed(witness.left, data, left)
    assert witness.came_digest() == witness.left_digest()


@given(st.binary(min_size=1, max_size=300), st.integers(0, 299), st.integers(1, 255))
def test_one_changed_byte_does_not(data: bytes, position: int, change: int) -> None:
    position %= len(data)
    witness = Witness()
    witness.came(data)
    witness.left(data[:position] + bytes([data[position] ^ change]) + data[position + 1 :])
    assert witness.came_digest() != witness.left_digest()


class Lossy(Outbox):
    """An outbox with a fault: it sends everything but what it is told to lose."""

    def write(self, transport: Any, data: bytes | None, witness: Witness | None = None) -> None:
        if data != b"lost":
            super().write(transport, data, witness)


@pytest.mark.parametrize(("kind", "mismatched"), [(Outbox, 0), (Lossy, 1)])
async def test_an_answer_is_compared_once_it_is_whole_and_sent(kind: type[Outbox], mismatched: int) -> None:
    outbox: Any = kind(asyncio.get_running_loop())
    witness, transport = Witness(), FakeTransport()
    for piece in (b"first", b"lost", b"last"):
        witness.came(piece)
        outbox.write(transport, piece, witness)
    outbox.conclude(witness)
    assert outbox.compared == 0
    await asyncio.sleep(0)
    assert (outbox.compared, outbox.mismatched) == (1, mismatched)


async def test_an_answer_of_another_connection_in_between_is_noticed() -> None:
    outbox: Any = Outbox(asyncio.get_running_loop())
    mine, other = Witness(), Witness()
    mine.came(b"mine")
    other.came(b"other")
    outbox.write(FakeTransport(), b"other", mine)
    outbox.write(FakeTransport(), b"mine", other)
    outbox.conclude(mine)
    outbox.conclude(other)
    await asyncio.sleep(0)
    assert (outbox.compared, outbox.mismatched) == (2, 2)


async def test_what_a_client_that_left_was_not_sent_is_no_mismatch() -> None:
    outbox: Any = Outbox(asyncio.get_running_loop())
    witness, transport = Witness(), FakeTransport()
    transport.close()
    witness.came(b"too late")
    outbox.write(transport, b"too late", witness)
    outbox.conclude(witness)
    await asyncio.sleep(0)
    assert (outbox.compared, outbox.mismatched) == (0, 0)


async def test_an_answer_with_nothing_left_to_send_is_compared_at_once() -> None:
    outbox: Any = Outbox(asyncio.get_running_loop())
    outbox.conclude(Witness())
    assert (outbox.compared, outbox.mismatched) == (1, 0)


ANSWERS = {
    "counted": response_bytes(body=b"x" * 5000),
    "chunks": chunked_response(b"a", b"bc"),
    "no content": response_bytes(204),
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response_bytes(body=b"after it"),
    "until the end": b"HTTP/1.1 200 OK\r\n\r\nto the end",
    "no answer": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "half": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
}


def heads_of(answer: bytes) -> bytes:
    head, empty_line, rest = answer.partition(b"\r\n\r\n")
    return head + empty_line + (heads_of(rest) if head.startswith(b"HTTP/1.1 1") else b"")


async def speak(connection: UpstreamConnection) -> None:
    """Answer as each request's path says."""
    while True:
        if not await connection.until_spoken_to():
            return
        request = await connection.request()
        kind = request.target.removeprefix("/").replace("%20", " ")
        answer = ANSWERS[kind]
        await connection.send(heads_of(answer) if request.method == "HEAD" else answer)
        if kind in ("until the end", "half"):
            connection.close()
            return


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*ANSWERS, "refused", "unrouted"]), st.sampled_from(["GET", "HEAD", "POST"]), st.booleans()
        ),
        min_size=1,
        max_size=5,
    )
)
def test_every_answer_that_was_whole_is_compared_and_no_other(asked: list[tuple[str, str, bool]]) -> None:
    uvloop.run(pipelined(asked))


async def pipelined(asked: list[tuple[str, str, bool]]) -> None:
    """Ask all of it in one packet, on one connection that may end early."""
    async with ScriptedUpstream(speak) as upstream:
        routes = [{"prefix": f"/{kind.replace(' ', '%20')}", "upstream": "llm"} for kind in ANSWERS]
        async with sidecar({"llm": {"url": upstream.url}}, routes=routes) as side:
            client = await side.client()
            said = b""
            for kind, method, old in asked:
                target = f"/{kind.replace(' ', '%20')}"
                request = request_bytes(method, target, body=b"{}" if method == "POST" else None)
                said += request.replace(b"HTTP/1.1", b"HTTP/1.0") if old else request
                said += b"bad request\r\n\r\n" if kind == "refused" else b""
            client.write(said)
            client.write(b"the end\r\n\r\n")
            await client.until_ended()
            answered = [capture for capture in side.captures if capture.error_type is None]
            box = side.server.outbox
            assert (box.compared, box.mismatched) == (len(answered), 0)
            assert side.server.counters.requests == len(side.captures)
            assert side.server.budget.used == 0
