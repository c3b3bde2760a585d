"""TLS on both sides, always verified, and the Unix socket."""

from __future__ import annotations

import ssl
from pathlib import Path
from time import monotonic_ns

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

import proxy.upstream
from proxy.client import SECOND
from tests.support.raw_http import chunked, chunked_response, request_bytes, response_bytes
from tests.support.sidecar import a_listener, eventually, sidecar, sidecar_before
from tests.support.upstream import ScriptedUpstream, answering

OK = response_bytes(body=b"ok")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def serving(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """A server's context with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def pem_files(certificate: trustme.LeafCert, folder: Path) -> dict[str, str]:
    """The certificate and its key as files, by the config's names."""
    files = {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    certificate.cert_chain_pems[0].write_to_path(files["cert"])
    certificate.private_key_pem.write_to_path(files["key"])
    return files


async def test_an_upstream_is_verified_with_the_ca_given(authority: trustme.CA, ca_file: str) -> None:
    tls = serving(authority, "127.0.0.1")
    async with (
        ScriptedUpstream(answering(chunked_response(b"a", b"b")), tls=tls) as upstream,
        sidecar({"llm": {"url": upstream.url, "tls": {"ca": ca_file}}}) as side,
    ):
        client = await side.client()
        for _ in range(3):
            assert (await client.exchange("POST", body=bytes(100_000))).body.raw == chunked(b"a", b"b")
        assert len(upstream.connections) == 1
        assert upstream.requests[0].value("host") == upstream.authority
        assert [one.error_type for one in await side.captured(3)] == [None] * 3


@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_an_upstream_that_cannot_be_verified_is_502_and_gets_no_byte(
    wrong: str, authority: trustme.CA, ca_file: str
) -> None:
    tls = serving(trustme.CA(), "127.0.0.1") if wrong == "authority" else serving(authority, "other.test")
    async with (
        ScriptedUpstream(answering(OK), tls=tls) as upstream,
        sidecar({"llm": {"url": upstream.url, "tls": {"ca": ca_file}}}) as side,
    ):
        response = await (await side.client()).exchange("POST", headers=[("Authorization", "x")], body=b"{}")
        assert (response.status, response.value("x-should-retry") is not None) == (502, True)
        assert (await side.capture()).error_type == "tls_error"
        assert upstream.requests == []


async def test_without_a_ca_the_systems_authorities_decide(authority: trustme.CA) -> None:
    async with (
        ScriptedUpstream(answering(OK), tls=serving(authority, "127.0.0.1")) as upstream,
        sidecar({"llm": {"url": upstream.url}}) as side,
    ):
        assert (await (await side.client()).exchange()).status == 502
        assert (await side.capture()).error_type == "tls_error"


async def test_an_upstream_that_does_not_speak_tls_is_a_tls_error() -> None:
    async with (
        ScriptedUpstream(answering(OK)) as upstream,
        sidecar({"llm": {"url": f"https://{upstream.authority}", "connect_timeout": 1}}) as side,
    ):
        upstream.script = None
        client = await side.client()
        await client.send(request_bytes())
        connection = await upstream.connection()
        await connection.until(lambda: bool(connection.received))
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert (await client.response()).status == 502
        assert (await side.capture()).error_type == "tls_error"


async def test_the_server_name_can_be_told(authority: trustme.CA, ca_file: str) -> None:
    settings = {"ca": ca_file, "server_name": "llm.test"}
    async with (
        ScriptedUpstream(answering(OK), tls=serving(authority, "llm.test")) as upstream,
        sidecar({"llm": {"url": upstream.url, "tls": settings}}) as side,
    ):
        assert (await (await side.client()).exchange()).content == b"ok"


@pytest.mark.parametrize("given", [True, False])
async def test_an_upstream_that_asks_for_a_client_certificate_gets_it(
    given: bool, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    tls = serving(authority, "127.0.0.1")
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(tls)
    certificate = {"client": pem_files(authority.issue_cert("sidelight.test"), tmp_path)} if given else {}
    async with (
        ScriptedUpstream(answering(OK), tls=tls) as upstream,
        sidecar({"llm": {"url": upstream.url, "tls": {"ca": ca_file, **certificate}}}) as side,
    ):
        status = (await (await side.client()).exchange("POST", body=b"{}")).status
        assert (status, len(upstream.requests)) == ((200, 1) if given else (502, 0))


async def test_a_tls_upstream_cut_off_in_a_body_without_framing_is_not_a_clean_end(
    authority: trustme.CA, ca_file: str
) -> None:
    async with (
        ScriptedUpstream(tls=serving(authority, "127.0.0.1")) as upstream,
        sidecar({"llm": {"url": upstream.url, "tls": {"ca": ca_file}}}) as side,
    ):
        client = await side.client()
        await client.send(request_bytes())
        connection, _ = await upstream.request()
        await connection.send(response_bytes(200, [("Content-Length", "9")], None) + b"part")
        await client.until_received(b"part")
        connection.abort()
        assert not (await client.response()).body.complete
        assert (await side.capture()).error_type == "upstream_reset"


async def test_a_tls_upstream_knows_at_once_that_the_client_has_gone(authority: trustme.CA, ca_file: str) -> None:
    async with (
        ScriptedUpstream(tls=serving(authority, "127.0.0.1")) as upstream,
        sidecar({"llm": {"url": upstream.url, "tls": {"ca": ca_file}}}) as side,
    ):
        client = await side.client()
        await client.send(request_bytes())
        connection, _ = await upstream.request()
        client.close()
        await connection.until_ended()
        assert (await side.capture()).error_type == "client_disconnect"


async def test_clients_can_be_served_over_tls(authority: trustme.CA, tmp_path: Path) -> None:
    files = pem_files(authority.issue_cert("localhost"), tmp_path)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with sidecar_before(answering(chunked_response(b"a", b"b")), tls=files) as side:
        client = await side.client(tls=trusting)
        for _ in range(2):
            assert (await client.exchange("POST", body=bytes(100_000))).body.raw == chunked(b"a", b"b")
        assert [one.scheme for one in await side.captured(2)] == ["https"] * 2
        await client.gone()


async def test_a_tls_client_that_leaves_mid_stream_cancels_the_upstream(authority: trustme.CA, tmp_path: Path) -> None:
    files = pem_files(authority.issue_cert("localhost"), tmp_path)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with sidecar_before(tls=files) as side:
        client = await side.client(tls=trusting)
        await client.send(request_bytes())
        connection, _ = await side.upstream.request()
        await connection.send(chunked_response(b"one", end=b""))
        await client.until_received(b"one")
        client.close()
        await connection.until_ended()
        assert (await side.capture()).error_type == "client_disconnect"


async def test_a_plain_request_to_a_tls_listener_is_not_served(authority: trustme.CA, tmp_path: Path) -> None:
    files = pem_files(authority.issue_cert("localhost"), tmp_path)
    async with sidecar_before(answering(OK), tls=files) as side:
        client = await side.client()
        await client.send(request_bytes())
        assert b"200" not in await client.until_ended()
        assert (side.upstream.connections, side.captures) == ([], [])


async def test_a_unix_socket_serves_too(tmp_path: Path) -> None:
    listener = a_listener(tmp_path / "sidelight.sock")
    async with sidecar_before(answering(OK), listener=listener, listen=f"unix:{tmp_path}/sidelight.sock") as side:
        client = await side.client()
        for _ in range(2):
            assert (await client.exchange()).content == b"ok"
        captures = await side.captured(2)
        assert (captures[0].scheme, captures[0].client_port) == ("http", 0)


async def test_a_tls_client_that_hears_nothing_of_its_refusal_is_refused_once(
    authority: trustme.CA, tmp_path: Path
) -> None:
    files = pem_files(authority.issue_cert("localhost"), tmp_path)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with sidecar_before(tls=files, limits={"header_timeout": 0.1}) as side:
        client = await side.client(tls=trusting)
        client.pause_reading()  # so it does not answer the end of the TLS connection either
        await client.send(b"GET / HTTP/1.1\r\n")
        await eventually(lambda: side.server.counters.refusals > 0)
        for one in side.server.clients:
            one.check(monotonic_ns() + SECOND)
        assert side.server.counters.refusals == 1


async def test_a_websocket_is_spliced_with_tls_on_both_sides(
    authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    listen = pem_files(authority.issue_cert("localhost"), tmp_path)
    trusting = ssl.create_default_context(cafile=ca_file)
    async with serve(echo, "127.0.0.1", 0, ssl=serving(authority, "127.0.0.1")) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        llm = {"url": f"https://127.0.0.1:{port}", "tls": {"ca": ca_file}}
        async with sidecar({"llm": llm}, tls=listen) as side:
            async with connect(f"wss://127.0.0.1:{side.address}/", ssl=trusting, server_hostname="localhost") as client:
                await client.send("x" * 100_000)
                assert await client.recv() == "x" * 100_000
            capture = await side.capture()
            assert (capture.status, capture.error_type) == (101, None)
            assert side.server.outbox.mismatched == 0


SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
ASKED = [("Connection", "Upgrade"), ("Upgrade", "websocket")]


@pytest.mark.parametrize("side_with_tls", ["upstream", "client", "both"])
async def test_the_last_words_of_a_spliced_client_arrive_where_tls_knows_no_half_close(
    side_with_tls: str, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    tls = serving(authority, "127.0.0.1") if side_with_tls != "client" else None
    listen = {} if side_with_tls == "upstream" else {"tls": pem_files(authority.issue_cert("localhost"), tmp_path)}
    last = b"last words" * 1_500_000
    async with (
        ScriptedUpstream(tls=tls) as upstream,
        sidecar({"llm": {"url": upstream.url, "tls": {"ca": ca_file}}}, **listen) as side,
    ):
        client = await side.client(tls=ssl.create_default_context(cafile=ca_file) if listen else None)
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        connection, _ = await upstream.request()
        await connection.send(SWITCHED)
        await client.response_head()
        connection.pause_reading()
        client.write(last)
        client.close()
        await eventually(lambda: any(each.reading_held for each in side.server.clients))
        connection.resume_reading()
        assert len(await connection.until_ended()) == len(last)
        capture = await side.capture()
        assert (capture.error_type, capture.request_size) == (None, len(last))
        connection.close()
        await eventually(lambda: side.server.upstream_connections == 0)


async def test_what_a_spliced_client_left_for_an_upstream_that_takes_nothing_is_dropped_in_time(
    ca_file: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy.upstream, "LEAVE_WITHIN", 0.2)
    listen = {"tls": pem_files(authority.issue_cert("localhost"), tmp_path)}
    async with (
        ScriptedUpstream() as upstream,
        sidecar({"llm": {"url": upstream.url}}, **listen) as side,
    ):
        client = await side.client(tls=ssl.create_default_context(cafile=ca_file))
        await client.send(request_bytes("GET", "/v1/realtime", ASKED))
        connection, _ = await upstream.request()
        await connection.send(SWITCHED)
        await client.response_head()
        connection.pause_reading()
        (served,) = side.server.clients
        assert served.upstream
        served.upstream.transport.set_write_buffer_limits(high=1 << 30)  # else the client's end would not be read
        served.upstream.transport.write(bytes(20_000_000))  # more than the kernel holds for a peer that does not read
        client.close()
        await eventually(lambda: side.server.upstream_connections == 0)
