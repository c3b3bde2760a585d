"""`sidelight run`: starts the processes from the back, keeps each alive, and stops them from the front.

    supervisor ─┬─ pipeline ── evaluator × M        owns: the listening sockets, the hand-off's memory, the doorbells,
                └─ proxy × N                         so nothing is lost when a process that uses them is replaced

A proxy that dies is replaced within a moment, and its listening socket never closes: clients wait in the backlog. The
pipeline may die, hang or be killed at any time; the proxies do not notice. SIGTERM drains, a second one exits now,
SIGHUP reloads.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final

import orjson

from config.load import settings_from
from config.settings import Settings
from console.health import serve_health
from pipeline.errors import ConfigError
from pipeline.ring import HandOffFds
from sidelight.components import Components, build_components
from sidelight.process import start_child
from store.salt import salt_beside

FIRST_BACKOFF: Final = 0.1
MAX_BACKOFF: Final = 10.0
STABLE_AFTER: Final = 10.0  # seconds of life after which a death is a first death again
READY_WITHIN: Final = 30.0
PIPELINE_GRACE: Final = 60.0  # seconds the pipeline may take to finish: its evaluators, then each exporter
PROXY_GRACE: Final = 2.0  # beyond the drain time
RELOADABLE: Final = ("processors",)
LONGEST_REPORT: Final = 1 << 20
HEAD_ROOM: Final = 512 * 1024  # of a capture record, beyond its two bodies

log = logging.getLogger("sidelight.supervisor")


class Child:
    """One supervised process: started, watched, started again with back-off."""

    def __init__(self, name: str, setup: Callable[[int], dict[str, Any]], fds: tuple[int, ...]) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self.settled = asyncio.Event()  # its first life has become ready, or has ended
        self.restarts = 0
        self.process: asyncio.subprocess.Process | None = None
        self.told: Mapping[str, Any] = {}  # what it last said of itself, and when
        self.told_at = 0.0
        self._setup = setup  # status fd → what the process is told
        self._fds = fds
        self._stopping = False

    async def run(self) -> None:
        """Until `stop`; ConfigError if its very first start says that the configuration is wrong."""
        backoff = FIRST_BACKOFF
        while not self._stopping:
            began = monotonic()
            error: str | None = None
            try:
                error = await self._run_once()
            except OSError as trouble:  # no process, descriptor or memory to be had just now
                self.process = None
                log.error("%s cannot be started: %s", self.name, trouble.strerror)
            if self._stopping:
                return
            if error is not None and not self.restarts:
                raise ConfigError(*error.splitlines())
            self.restarts += 1
            backoff = FIRST_BACKOFF if monotonic() - began > STABLE_AFTER else min(backoff * 2, MAX_BACKOFF)
            code = self.process.returncode if self.process else None
            log.error("%s ended with code %s: starting it again in %.1f s", self.name, code, backoff)
            await asyncio.sleep(backoff)

    async def _run_once(self) -> str | None:
        """One life; the error it reported instead of becoming ready, if it did."""
        status_read, status_write = os.pipe()
        with os.fdopen(status_read, "rb") as pipe:
            try:
                self.process = await start_child(self.name, self._setup(status_write), (*self._fds, status_write))
            finally:
                os.close(status_write)
            error = await self._live(pipe)
        self.ready.clear()
        self.told = {}
        if error is None:
            self.settled.set()
        return error

    async def _live(self, pipe: Any) -> str | None:
        """From its first report to its end."""
        assert self.process
        async with lines_of(pipe) as lines:
            message = orjson.loads(await lines.readline() or b"{}")
            if message.get("ready"):
                self.ready.set()
                self.settled.set()
            if self._stopping:
                self.terminate()
            listening = asyncio.ensure_future(self._listen(lines))
            await self.process.wait()
            listening.cancel()
        error: str | None = message.get("error")
        return error

    async def _listen(self, lines: asyncio.StreamReader) -> None:
        while (line := await lines.readline()).endswith(b"\n"):  # the last may be broken off
            self.told, self.told_at = orjson.loads(line), monotonic()

    def tell(self, message: dict[str, Any]) -> None:
        """One line on its stdin; a child that is being replaced is told by its setup instead."""
        if self.process and self.process.stdin and self.process.returncode is None:
            self.process.stdin.write(orjson.dumps(message) + b"\n")

    def terminate(self) -> None:
        """Ask it to finish."""
        self._stopping = True
        if self.process and self.process.returncode is None:
            self.process.terminate()

    def kill(self) -> None:
        """End it."""
        self._stopping = True
        if self.process and self.process.returncode is None:
            self.process.kill()

    async def stopped(self, within: float) -> None:
        """Wait for its end, and end it when that takes too long."""
        if self.process is None:
            return
        try:
            async with asyncio.timeout(within):
                await self.process.wait()
        except TimeoutError:
            log.warning("%s did not finish in %.0f s and is killed", self.name, within)
            self.kill()
            await self.process.wait()


@asynccontextmanager
async def lines_of(pipe: Any) -> AsyncIterator[asyncio.StreamReader]:
    """What a child reports, line by line, until it ends."""
    reader = asyncio.StreamReader(limit=LONGEST_REPORT)
    own = os.fdopen(os.dup(pipe.fileno()), "rb", 0)  # the loop closes its descriptor later, when another may have ours
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), own)
    try:
        yield reader
    finally:
        transport.close()


class Supervisor:
    """Owns everything that outlives a child."""

    def __init__(self, tree: Mapping[str, Any], reload: Callable[[], Mapping[str, Any]] | None = None) -> None:
        self.tree = dict(tree)
        self.settings = settings_from(tree)
        self._components = build_components(self.settings)
        self._salt = b""  # of every hash; known once `run` has begun
        self.address = ""  # where the proxies listen, known once `run` has bound it
        self._read_again = reload
        self._draining = False
        self._signals = 0
        self._stop = asyncio.Event()
        self._children: list[Child] = []

    async def run(self, on_ready: Callable[[Supervisor], None] = lambda _: None) -> int:
        """Until a signal; the exit code. ConfigError before anything has started."""
        self._salt = self._components.identify.own_salt or salt_beside(self.settings.store.path)
        async with AsyncExitStack() as stack:
            listeners = self._listen(stack)
            hand_offs = [self._hand_off(stack) for _ in listeners]
            pipeline = self._pipeline(hand_offs)
            proxies = [self._proxy(*pair, index) for index, pair in enumerate(zip(listeners, hand_offs, strict=True))]
            self._children = [pipeline, *proxies]
            self._handle_signals()
            runs = await self._start(stack, pipeline, proxies)
            on_ready(self)
            await first_done(self._stop.wait(), *runs)
            await self._shut_down(listeners, pipeline, proxies)
            for run in runs:
                run.cancel()
            for ended in await asyncio.gather(*runs, return_exceptions=True):
                if isinstance(ended, ConfigError):
                    raise ended
        return 0

    def _told_to_proxies(self, components: Components) -> dict[str, Any]:
        """The headers that captures must hold, and the salt with which they hold a hash of the API key."""
        identify = components.identify
        return {
            "exposed": sorted(identify.headers_read | components.context.headers_read),
            "salt": (identify.own_salt or self._salt).hex() if identify.wants_credential else "",
        }

    # -- starting -------------------------------------------------------------------------------------------------

    def _listen(self, stack: AsyncExitStack) -> list[socket.socket]:
        """One listening socket for each proxy process, bound here so that a taken port is one clear error."""
        address, workers = self.settings.proxy.listen, self.settings.proxy.workers
        try:
            if address.startswith("unix:"):
                listener = listen_unix(address.removeprefix("unix:"))
                listeners = [listener] + [listener.dup() for _ in range(workers - 1)]
                self.address = address
            else:
                listeners = listen_tcp(address, workers)
                host, port = listeners[0].getsockname()[:2]
                self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        except OSError as error:
            raise ConfigError(
                f"proxy.listen: cannot listen on {address}: {reason(error)}; free it or choose another"
            ) from None
        for listener in listeners:
            stack.callback(listener.close)
        if address.startswith("unix:"):
            stack.callback(Path(address.removeprefix("unix:")).unlink, missing_ok=True)
        return listeners

    def _hand_off(self, stack: AsyncExitStack) -> HandOffFds:
        capture = self.settings.proxy.capture
        fds = HandOffFds.create(capture.ring, 2 * capture.max_body + HEAD_ROOM)
        stack.callback(fds.close)
        return fds

    def _pipeline(self, hand_offs: list[HandOffFds]) -> Child:
        fds = tuple(fd for hand_off in hand_offs for fd in (hand_off.small, hand_off.large, hand_off.bell_read))
        lists = [hand_off.as_list() for hand_off in hand_offs]

        def setup(status: int) -> dict[str, Any]:
            again = child.restarts > 0  # somebody waits for the first start, and nobody for a later one
            return {
                "settings": self.tree,
                "hand_offs": lists,
                "status": status,
                "in_the_gaps": again,
                "salt": self._salt.hex(),
            }

        child = Child("pipeline", setup, fds)
        return child

    def _proxy(self, listener: socket.socket, hand_off: HandOffFds, index: int) -> Child:
        fd = listener.fileno()

        def setup(status: int) -> dict[str, Any]:
            return {
                "settings": self.tree,
                "hand_off": hand_off.as_list(),
                "listener": fd,
                "status": status,
                **self._told_to_proxies(self._components),
            }

        return Child(f"proxy {index}", setup, (fd, hand_off.small, hand_off.large, hand_off.bell_write))

    async def _start(self, stack: AsyncExitStack, pipeline: Child, proxies: list[Child]) -> list[asyncio.Task[None]]:
        """From the back: nothing is accepted before there is someone to evaluate it."""
        loop = asyncio.get_running_loop()
        await self._serve_health(stack)
        runs: list[asyncio.Task[None]] = []
        for group in ([pipeline], proxies):
            started = [loop.create_task(child.run()) for child in group]
            runs += started
            for child, run in zip(group, started, strict=True):
                ready = await first_done(child.settled.wait(), run, self._stop.wait(), timeout=READY_WITHIN)
                if run.done():
                    self._kill_all()
                    await run
                if not ready and not self._stop.is_set():
                    log.warning("%s is not ready after %.0f s", child.name, READY_WITHIN)
        return runs

    async def _serve_health(self, stack: AsyncExitStack) -> None:
        address = self.settings.service.health
        if address is None:
            return
        try:
            runner = await serve_health(address, self.status)
        except OSError as error:
            raise ConfigError(
                f"service.health: cannot listen on {address}: {reason(error)}; free it, choose another, or set null"
            ) from None
        stack.push_async_callback(runner.cleanup)

    def status(self) -> tuple[bool, Mapping[str, Any]]:
        """Serving: every proxy is up and nobody asked us to stop. A dead pipeline costs evaluations, not traffic."""
        children = {child.name: {"ready": child.ready.is_set(), "restarts": child.restarts} for child in self._children}
        proxies = [child for child in self._children if child.name != "pipeline"]
        serving = bool(proxies) and all(child.ready.is_set() for child in proxies) and not self._draining
        pipeline = next((child for child in self._children if child.name == "pipeline"), None)
        told = {**pipeline.told, "age": round(monotonic() - pipeline.told_at, 1)} if pipeline and pipeline.told else {}
        return serving, {"serving": serving, "draining": self._draining, "processes": children, **told}

    # -- signals --------------------------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def _on_stop_signal(self, number: int) -> None:
        self._signals += 1
        if self._signals > 1:
            self._kill_all()
            os._exit(128 + number)
        self._stop.set()

    def _kill_all(self) -> None:
        for child in self._children:
            child.kill()

    def reload(self) -> None:
        """Take over what may change while running; an invalid file changes nothing and says why."""
        if self._read_again is None:
            log.warning("there is no file to reload: Sidelight was started without one")
            return
        try:
            tree = dict(self._read_again())
            components = build_components(settings_from(tree))
        except ConfigError as error:
            for problem in error.problems:
                log.error("not reloaded: %s", problem)
            return
        for section in sorted(set(tree) | set(self.tree)):
            if section not in RELOADABLE and tree.get(section) != self.tree.get(section):
                log.warning("%s has changed: that needs a restart; the running one stays as it was", section)
        salts = components.identify.own_salt, self._components.identify.own_salt
        if salts[0] != salts[1] or self._told_to_proxies(components) != self._told_to_proxies(self._components):
            log.warning(
                "processors: the headers that are read, `credential` or the salt has changed: that needs a restart"
            )
        self.tree = self.tree | {section: tree.get(section, {}) for section in RELOADABLE}
        self._children[0].tell({"settings": self.tree})
        log.info("reloaded: %s", ", ".join(RELOADABLE))

    # -- stopping -------------------------------------------------------------------------------------------------

    async def _shut_down(self, listeners: list[socket.socket], pipeline: Child, proxies: list[Child]) -> None:
        """From the front: no new clients, answers in flight finish, then what they left is evaluated and exported."""
        self._draining = True
        log.info("stopping: answers in flight may take %.0f s; again to stop now", self.settings.proxy.limits.drain)
        for listener in listeners:
            listener.close()
        for child in proxies:
            child.terminate()
        await asyncio.gather(*(child.stopped(self.settings.proxy.limits.drain + PROXY_GRACE) for child in proxies))
        pipeline.terminate()
        await pipeline.stopped(PIPELINE_GRACE)


async def first_done(*awaitables: Any, timeout: float | None = None) -> bool:  # noqa: ASYNC109
    """Wait until one of them is done; tasks go on, anything else is cancelled. False when time ran out."""
    waiters = [each if isinstance(each, asyncio.Task) else asyncio.ensure_future(each) for each in awaitables]
    done, _ = await asyncio.wait(waiters, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for waiter, given in zip(waiters, awaitables, strict=True):
        if waiter is not given:
            waiter.cancel()
    return bool(done)


def reason(error: OSError) -> str:
    """The system's words alone; asyncio puts its own around them."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)


def listen_tcp(address: str, count: int) -> list[socket.socket]:
    """`count` sockets on one port. Another program's port is refused even if it would share it."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, int(port)))
        if count == 1 and port != "0":
            probe.listen(1)
    listeners: list[socket.socket] = []
    for _ in range(count):
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, listeners[0].getsockname()[1] if listeners else int(port)))
        listener.listen(4096)
        listeners.append(listener)
    return listeners


def listen_unix(path: str) -> socket.socket:
    """A Unix socket; a file left by a dead process is replaced, a living one's is not."""
    if Path(path).is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                raise OSError(errno.EADDRINUSE, "it is in use")
        Path(path).unlink()
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
    except OSError:
        listener.close()
        raise
    listener.listen(4096)
    return listener


def settings_of(tree: Mapping[str, Any]) -> Settings:
    """Checked settings and components, or a ConfigError; what `sidelight validate` does."""
    settings = settings_from(tree)
    build_components(settings)
    return settings
