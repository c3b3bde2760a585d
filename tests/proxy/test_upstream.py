"""The pool: which connection is used next, and which are not kept."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from time import monotonic_ns
from typing import Any

import pytest

from config.settings import Upstream
from proxy.outbox import Outbox
from proxy.routing import Origin
from proxy.upstream import FRESH, SECOND, Pool, UpstreamConnection


class FakeTransport:
    """Open until it is closed or aborted, over a real socket whose peer the test holds."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.ended = ""
        self.reading = True
        self.unsent = 0

    def get_extra_info(self, name: str) -> Any:
        return {"socket": self.socket}[name]

    def is_closing(self) -> bool:
        return bool(self.ended)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Peers:
    """Makes connections to nobody and holds their other ends."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def connect(self, pool: Pool) -> tuple[UpstreamConnection, FakeTransport, socket.socket]:
        ours, theirs = socket.socketpair()
        self.sockets += [ours, theirs]
        transport = FakeTransport(ours)
        connection = UpstreamConnection(pool)
        connection.connection_made(transport)  # type: ignore[arg-type]  # only what a pool asks of a transport
        return connection, transport, theirs

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


@pytest.fixture
def peers() -> Iterator[Peers]:
    peers = Peers()
    yield peers
    peers.close()


def pool(**settings: Any) -> Pool:
    origin = Origin("up", Upstream.model_validate({"url": "http://up.test"} | settings))
    return Pool(origin, Outbox(asyncio.get_running_loop()))


def put(pool: Pool, connection: UpstreamConnection, hint: float | None = None) -> None:
    pool.put(connection, hint, monotonic_ns())


def take(pool: Pool) -> UpstreamConnection | None:
    return pool.take(monotonic_ns())


def long_unused(connection: UpstreamConnection) -> None:
    """As if it had been put back before it was too fresh to be asked."""
    connection.used_at -= 2 * FRESH


async def test_an_empty_pool_has_nothing() -> None:
    assert take(pool()) is None


async def test_the_last_connection_put_back_is_taken_first(peers: Peers) -> None:
    kept = pool()
    connections = [peers.connect(kept)[0] for _ in range(3)]
    for connection in connections:
        put(kept, connection)
    assert [take(kept) for _ in range(4)] == [*connections[::-1], None]


async def test_a_kept_connection_is_marked_as_used_before_and_reads_on(peers: Peers) -> None:
    kept = pool()
    connection, transport, _ = peers.connect(kept)
    assert not connection.reused
    connection.hold_reading()
    assert not transport.reading
    put(kept, connection)
    assert (connection.reused, transport.reading, transport.ended) == (True, True, "")


async def test_a_connection_whose_peer_answered_without_reading_is_not_kept(peers: Peers) -> None:
    kept = pool()
    connection, transport, _ = peers.connect(kept)
    transport.unsent = 1
    put(kept, connection)
    assert (take(kept), transport.ended) == (None, "closed")


async def test_no_more_are_kept_than_told(peers: Peers) -> None:
    kept = pool(max_idle=2)
    opened = [peers.connect(kept) for _ in range(3)]
    for connection, _, _ in opened:
        put(kept, connection)
    assert [transport.ended for _, transport, _ in opened] == ["", "", "closed"]
    assert [take(kept) for _ in range(3)] == [opened[1][0], opened[0][0], None]


@pytest.mark.parametrize("settings", [{"max_idle": 0}, {"keepalive": 0}])
async def test_a_pool_that_keeps_nothing_closes_at_once(peers: Peers, settings: dict[str, int]) -> None:
    kept = pool(**settings)
    connection, transport, _ = peers.connect(kept)
    put(kept, connection)
    assert (transport.ended, take(kept)) == ("closed", None)


@pytest.mark.parametrize(
    ("keepalive", "hint", "seconds"), [(30, None, 30), (30, 5.0, 4), (3, 60.0, 3), (1.5, None, 1.5), (30, 1.5, 0.5)]
)
async def test_a_connection_is_kept_as_long_as_both_sides_want_it(
    peers: Peers, keepalive: float, hint: float | None, seconds: float
) -> None:
    kept = pool(keepalive=keepalive)
    connection, transport, _ = peers.connect(kept)
    before = monotonic_ns()
    put(kept, connection, hint)
    after = monotonic_ns()
    assert before + seconds * SECOND <= connection.expires_at <= after + seconds * SECOND
    kept.sweep(connection.expires_at - 1)
    assert transport.ended == ""
    kept.sweep(connection.expires_at)
    assert (transport.ended, take(kept)) == ("closed", None)


@pytest.mark.parametrize("hint", [0.0, 0.5, 1.0])
async def test_a_peer_that_will_close_within_a_second_is_not_kept(peers: Peers, hint: float) -> None:
    kept = pool()
    connection, transport, _ = peers.connect(kept)
    put(kept, connection, hint)
    assert (transport.ended, take(kept)) == ("closed", None)


async def test_the_sweep_closes_what_has_expired_and_nothing_else(peers: Peers) -> None:
    kept = pool()
    old, new = peers.connect(kept), peers.connect(kept)
    put(kept, old[0])
    put(kept, new[0])
    new[0].expires_at += SECOND
    kept.sweep(old[0].expires_at)
    assert (old[1].ended, new[1].ended) == ("closed", "")
    assert [take(kept), take(kept)] == [new[0], None]


async def test_the_sweep_closes_what_has_expired_behind_what_lives_longer(peers: Peers) -> None:
    kept = pool(keepalive=30)
    patient, hurried = peers.connect(kept), peers.connect(kept)
    put(kept, patient[0])
    put(kept, hurried[0], 5.0)
    kept.sweep(hurried[0].expires_at)
    assert (patient[1].ended, hurried[1].ended) == ("", "closed")


async def test_an_expired_connection_is_not_taken_before_the_sweep_comes(peers: Peers) -> None:
    kept = pool()
    connection, transport, _ = peers.connect(kept)
    put(kept, connection, 2.0)
    connection.expires_at = monotonic_ns() - 1
    assert take(kept) is None
    assert transport.ended


async def test_a_connection_that_is_closing_is_neither_kept_nor_taken(peers: Peers) -> None:
    kept = pool()
    (late, late_transport, _), (early, early_transport, _) = peers.connect(kept), peers.connect(kept)
    early_transport.close()
    put(kept, early)
    put(kept, late)
    late_transport.close()
    assert take(kept) is None


@pytest.mark.parametrize("sends", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_a_connection_whose_peer_closed_or_spoke_is_passed_over(peers: Peers, sends: bytes) -> None:
    kept = pool()
    (good, _, _), (gone, transport, peer) = peers.connect(kept), peers.connect(kept)
    for connection in (good, gone):
        put(kept, connection)
        long_unused(connection)
    peer.sendall(sends)
    if not sends:
        peer.close()
    assert take(kept) is good
    assert transport.ended == "aborted"


async def test_a_connection_that_was_lost_is_forgotten(peers: Peers) -> None:
    kept = pool()
    (idle, _, _), (busy, _, _) = peers.connect(kept), peers.connect(kept)
    put(kept, idle)
    assert kept.connections == {idle, busy}
    idle.connection_lost(None)
    busy.connection_lost(ConnectionResetError())
    assert (kept.connections, take(kept)) == (set(), None)


async def test_bytes_nobody_asked_for_end_an_idle_connection(peers: Peers) -> None:
    kept = pool()
    connection, transport, _ = peers.connect(kept)
    put(kept, connection)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    assert (transport.ended, take(kept)) == ("aborted", None)


async def test_closing_the_pool_ends_the_busy_ones_too(peers: Peers) -> None:
    kept = pool()
    (idle, idle_transport, _), (_, busy_transport, _) = peers.connect(kept), peers.connect(kept)
    put(kept, idle)
    kept.close()
    assert (idle_transport.ended, busy_transport.ended) == ("aborted", "aborted")
