"""Sockets, waiting, and what a reload may change; whole lives are in tests/e2e."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop

from pipeline.errors import ConfigError
from sidelight.supervisor import Child, Supervisor, first_done, lines_of, listen_tcp, listen_unix, settings_of

TREE: dict[str, Any] = {
    "proxy": {"listen": "127.0.0.1:0", "upstreams": {"one": {"url": "http://127.0.0.1:9"}}},
    "processors": {"latency": {"max_duration": 1.0}},
    "exporters": {"debug": {}},
    "service": {"health": None},
}


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def close_all(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def test_several_sockets_listen_on_one_free_port() -> None:
    listeners = listen_tcp("127.0.0.1:0", 3)
    assert len({port_of(listener) for listener in listeners}) == 1
    close_all(listeners)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
def test_another_programs_port_is_refused_even_when_it_would_share(count: int, shared: bool) -> None:
    with socket.socket() as other:
        if shared:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            close_all(listen_tcp(f"127.0.0.1:{port_of(other)}", count))


def test_a_port_is_free_again_at_once() -> None:
    (listener,) = listen_tcp("127.0.0.1:0", 1)
    address = f"127.0.0.1:{port_of(listener)}"
    with socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        accepted.close()  # the side that closes first keeps the port in TIME_WAIT
        assert client.recv(1) == b""
    listener.close()
    close_all(listen_tcp(address, 1))


def test_a_unix_socket_of_a_dead_process_is_replaced_and_a_living_ones_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "sidelight.sock")
    with listen_unix(path), pytest.raises(OSError, match="in use"):
        listen_unix(path)
    with listen_unix(path) as again, socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        again.accept()[0].close()


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("data")
    with pytest.raises(OSError, match="in use"):
        listen_unix(str(file))
    assert file.read_text() == "data"


async def test_waiting_ends_with_the_first_and_cancels_what_is_no_task() -> None:
    event, cancelled = asyncio.Event(), asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    task = asyncio.ensure_future(asyncio.Event().wait())
    event.set()
    assert await first_done(event.wait(), forever(), task)
    await cancelled.wait()
    assert not task.done()
    assert not await first_done(task, timeout=0.01)
    task.cancel()


@pytest.mark.parametrize(("written", "line"), [(b'{"ready":true}\nmore', b'{"ready":true}\n'), (b"", b"")])
async def test_the_first_line_is_what_a_child_reports_or_nothing(written: bytes, line: bytes) -> None:
    reader, writer = os.pipe()
    os.write(writer, written)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        async with lines_of(pipe) as lines:
            assert await lines.readline() == line


def test_settings_are_checked_with_their_components() -> None:
    assert settings_of(TREE).proxy.listen == "127.0.0.1:0"
    with pytest.raises(ConfigError, match="did you mean latency"):
        settings_of(TREE | {"processors": {"latncy": {}}})


def test_it_is_not_serving_before_it_has_started() -> None:
    serving, page = Supervisor(TREE).status()
    assert not serving
    assert page == {"serving": False, "draining": False, "processes": {}}


class Told(Child):
    """A child that only remembers what it was told."""

    def __init__(self) -> None:
        super().__init__("pipeline", lambda status: {}, ())
        self.messages: list[dict[str, Any]] = []

    def tell(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


def reloaded(tree: Mapping[str, Any] | Exception) -> tuple[Supervisor, Told]:
    def read() -> Mapping[str, Any]:
        if isinstance(tree, Exception):
            raise tree
        return tree

    supervisor, pipeline = Supervisor(TREE, read), Told()
    supervisor._children = [pipeline]
    supervisor.reload()
    return supervisor, pipeline


def test_a_reload_hands_on_the_processors() -> None:
    changed = TREE | {"processors": {"refusal": {}}}
    supervisor, pipeline = reloaded(changed)
    assert supervisor.tree == changed
    assert pipeline.messages == [{"settings": changed}]


def test_a_reload_hands_on_nothing_that_needs_a_restart(caplog: pytest.LogCaptureFixture) -> None:
    moved = TREE["proxy"] | {"listen": "127.0.0.1:1"}
    changed = TREE | {"proxy": moved, "exporters": {}, "processors": {"refusal": {}}}
    supervisor, _ = reloaded(changed)
    assert supervisor.tree == TREE | {"processors": {"refusal": {}}}
    assert [line for line in caplog.messages if "restart" in line] == [
        "exporters has changed: that needs a restart; the running one stays as it was",
        "proxy has changed: that needs a restart; the running one stays as it was",
    ]


@pytest.mark.parametrize(
    "tree",
    [
        ConfigError("sidelight.yaml: cannot be read: No such file or directory"),
        {},
        TREE | {"processors": {"latency": {"max_duration": -1}}},
        TREE | {"exporters": {"otlp": {"endpoint": "nowhere:"}}},
    ],
)
def test_a_reload_of_what_is_invalid_changes_nothing_and_says_why(tree: Any, caplog: pytest.LogCaptureFixture) -> None:
    supervisor, pipeline = reloaded(tree)
    assert supervisor.tree == TREE
    assert pipeline.messages == []
    assert [line.startswith("not reloaded: ") for line in caplog.messages] == [True]


def test_without_a_file_there_is_nothing_to_reload(caplog: pytest.LogCaptureFixture) -> None:
    Supervisor(TREE).reload()
    assert "no file to reload" in caplog.text


async def test_a_child_that_cannot_be_started_is_tried_again() -> None:
    tries: list[int] = []

    def setup(status: int) -> dict[str, Any]:
        tries.append(status)
        if len(tries) == 2:
            child.terminate()
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    child = Child("proxy 0", setup, ())
    before = len(os.listdir("/dev/fd"))
    await child.run()
    assert (len(tries), child.restarts) == (2, 1)
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("users", [["credential"], ["user"]])
@pytest.mark.parametrize("salt", [{"salt": "second of many salts"}, {}])
def test_a_reload_says_that_another_salt_needs_a_restart(
    users: list[str], salt: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    def with_salt(salt: dict[str, str]) -> dict[str, Any]:
        return {**TREE, "processors": {"identify": {"user": users, **salt}}}

    supervisor = Supervisor(with_salt({"salt": "first of many salts"}), lambda: with_salt(salt))
    supervisor._salt = supervisor._components.identify.own_salt or b""  # as once it runs
    supervisor._children = [Told()]
    supervisor.reload()
    assert "salt has changed: that needs a restart" in caplog.text


def test_a_file_that_is_opened_when_a_childs_pipe_closes_stays_open() -> None:
    """Its descriptor has the pipe's number, and the loop closes the pipe a moment later."""

    async def open_at_that_moment() -> None:
        readable, writable = os.pipe()
        with os.fdopen(readable, "rb") as pipe:
            os.close(writable)
            async with lines_of(pipe) as lines:
                assert await lines.read() == b""
        opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(4)]
        for _ in range(20):
            await asyncio.sleep(0)
        for descriptor in opened:
            os.fstat(descriptor)
            os.close(descriptor)

    uvloop.run(open_at_that_moment())
