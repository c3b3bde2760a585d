"""`sidelight run` as people start it: a real process with real children, on free ports, with its log at hand."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from sidelight.demo import free_addresses
from sidelight.demo.children import python_child, ready
from store.queries import LedgerSums, ledger_sums, opened

PATIENCE = 15.0  # seconds any wait may take before the test fails
POLL = 0.02  # seconds

Tree = dict[str, Any]


async def until(true: Callable[[], Awaitable[bool] | bool], patience: float = PATIENCE) -> None:
    """Wait for a state that nobody announces."""
    async with asyncio.timeout(patience):
        while True:
            answer = true()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(POLL)


class Running:
    """One `sidelight run`; it may be reconfigured, killed and started again on the same files."""

    def __init__(self, folder: Path, tree: Tree) -> None:
        self.folder = folder
        self.tree = tree
        self.process: Process
        self.log = folder / "sidelight.log"
        self.config = folder / "sidelight.yaml"
        self.store = folder / "store.db"

    @property
    def url(self) -> str:
        return f"http://{self.tree['proxy']['listen']}"

    @property
    def health(self) -> str:
        return f"http://{self.tree['service']['health']}/"

    def write(self, tree: Mapping[str, Any]) -> None:
        """What the configuration file says from now on."""
        self.config.write_text(yaml.safe_dump(dict(tree), sort_keys=False))

    def logged(self) -> str:
        """Everything that Sidelight and its children wrote to standard output and error."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def says(self, text: str, times: int = 1) -> None:
        """Wait until the log holds this text."""
        await until(lambda: self.logged().count(text) >= times)

    async def status(self) -> Tree:
        """What the health page says."""
        async with aiohttp.ClientSession() as session, session.get(self.health) as response:
            page: Tree = await response.json()
            return page

    async def is_ready(self, name: str, restarts: int) -> bool:
        """Is this process up, in its life number `restarts`?"""
        process = (await self.status())["processes"].get(name, {})
        return bool(process.get("ready")) and process["restarts"] >= restarts

    def pids(self, role: str) -> list[int]:
        """The processes of this role, oldest first; the supervisor's is `process.pid`."""
        return [pid for pid, command in members(self.process.pid).items() if role in command[-2:]]

    def pid(self, role: str) -> int:
        """The only process of this role."""
        (pid,) = self.pids(role)
        return pid

    def everybody(self) -> list[int]:
        """Every process of this Sidelight that lives."""
        return list(members(self.process.pid))

    def kill_everybody(self) -> None:
        """SIGKILL to the whole process group, as a host's death would be."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def ended(self, patience: float = PATIENCE) -> int:
        """Wait for the exit code."""
        async with asyncio.timeout(patience):
            return await self.process.wait()

    async def sums(self) -> LedgerSums:
        """The ledger as it stands."""
        return await asyncio.to_thread(self._sums)

    def _sums(self) -> LedgerSums:
        with opened(self.store) as db:
            return ledger_sums(db)

    async def settled(self, done: int) -> LedgerSums:
        """Wait until at least `done` exchanges are done and none is pending; the ledger then."""
        sums = await self.sums()
        try:
            async with asyncio.timeout(PATIENCE):
                while sums.done < done or sums.pending:
                    await asyncio.sleep(POLL)
                    sums = await self.sums()
        except TimeoutError:
            raise AssertionError(f"{sums.done} done and {sums.pending} pending, not {done} done") from None
        return sums

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the store answers."""

        def read() -> list[tuple[Any, ...]]:
            with opened(self.store) as db:
                return [tuple(row) for row in db.execute(query)]

        return await asyncio.to_thread(read)

    def bytes_on_disk(self) -> bytes:
        """The store's files, write-ahead log included."""
        return b"".join(file.read_bytes() for file in self.folder.glob("store.db*"))


def members(group: int) -> dict[int, list[str]]:
    """The living processes of a process group, by id, with their command lines."""
    found: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                state, _, pgrp = entry.joinpath("stat").read_text().rpartition(")")[2].split()[:3]
                if int(pgrp) == group and state != "Z":
                    found[int(entry.name)] = entry.joinpath("cmdline").read_text().split("\0")[:-1]
    return dict(sorted(found.items()))


def a_tree(folder: Path, upstream: str, **sections: Mapping[str, Any]) -> Tree:
    """A configuration on free ports before this upstream; each section given is merged into its default."""
    proxy, health = free_addresses(2)
    tree: Tree = {
        "proxy": {"listen": proxy, "upstreams": {"llm": {"url": upstream}}},
        "processors": {"refusal": {}, "latency": {}},
        "exporters": {"store": {"path": str(folder / "store.db")}},
        "service": {"health": health},
    }
    return {name: {**tree.get(name, {}), **sections.get(name, {})} for name in {**tree, **sections}}


@asynccontextmanager
async def started(run: Running) -> AsyncIterator[Running]:
    """This Sidelight, serving; gone with all its children after, and its log shown if anything failed."""
    run.write(run.tree)
    try:
        async with python_child("sidelight", "run", "--config", str(run.config), log=run.log) as run.process:
            await ready(run.process, run.health, PATIENCE)
            yield run
    except BaseException as error:
        error.add_note(f"--- the log of sidelight run ---\n{run.logged()}")
        raise


@asynccontextmanager
async def running(folder: Path, upstream: str, **sections: Mapping[str, Any]) -> AsyncIterator[Running]:
    """A new Sidelight before this upstream."""
    async with started(Running(folder, a_tree(folder, upstream, **sections))) as run:
        yield run


class Load:
    """A steady load from several clients, each request answered a little before the client sends its next."""

    PACE = 0.01  # seconds; slow enough that the hand-off can hold what comes while the pipeline is replaced

    def __init__(self, url: str, body: bytes, expected: bytes) -> None:
        self.answers: Counter[str] = Counter()
        self._url, self._body, self._expected = url, body, expected
        self._stop = asyncio.Event()

    @property
    def done(self) -> int:
        return sum(self.answers.values())

    async def another(self, count: int = 50) -> None:
        """Wait until this many more requests have been answered."""
        wanted = self.done + count
        await until(lambda: self.done >= wanted)

    async def _client(self, session: aiohttp.ClientSession) -> None:
        headers = {"Content-Type": "application/json"}
        while not self._stop.is_set():
            try:
                async with session.post(self._url, data=self._body, headers=headers) as response:
                    same = response.status == 200 and await response.read() == self._expected
                    self.answers["same" if same else f"other: {response.status}"] += 1
            except aiohttp.ClientError as error:
                self.answers[f"failed: {type(error).__name__}"] += 1
            await asyncio.sleep(self.PACE)

    @asynccontextmanager
    async def running(self, clients: int = 4) -> AsyncIterator[Load]:
        """Load for as long as the block lasts."""
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            for _ in range(clients):
                tasks.create_task(self._client(session))
            try:
                yield self
            finally:
                self._stop.set()
