"""Runs each client twice, directly and through Sidelight, and keeps what client, upstream and Sidelight say of it."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pipeline.records import Exchange
from store.queries import decoded
from tests.clients import upstreams
from tests.clients.canonical import Canonical
from tests.clients.matrix import APIS, PROMPTS, Client
from tests.clients.upstreams import ROOT, RUN_HEADER
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.running import Running, running

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 240.0  # seconds a client may take for all it does
Way = Literal["directly", "through"]
TOO_LONG = "forbidden " * 3000  # more than the engine's context: its way to say 400

# Of every request: what belongs to the connection, to the moment, and to the trace that Sidelight takes part in.
NOT_COMPARED = frozenset(
    {"host", "connection", "x-request-id", "traceparent", "tracestate", RUN_HEADER.lower()}
    | {"sec-websocket-key"}
    | {"date", "x-amz-date", "authorization", "amz-sdk-invocation-id"}  # boto3 signs the host and the time
)


@dataclass
class Account:
    """One scenario in one way, as each side tells it."""

    seen: dict[str, Any]  # by the client
    requests: list[dict[str, Any]] = field(default_factory=list)  # by the upstream
    exchanges: list[Exchange] = field(default_factory=list)  # by Sidelight


Accounts = dict[tuple[str, str], Account]  # (API, scenario)


class Lab:
    """Both upstreams and one Sidelight before them, for as long as the tests run."""

    def __init__(self, run: Running, receiver: OtlpReceiver, aimock: str, llama: str) -> None:
        self.run, self.receiver = run, receiver
        self.bases = {"aimock": aimock, "llama": llama}
        self.ran: dict[tuple[str, Way, int], Accounts | Exception] = {}

    def base(self, client: Client, way: Way) -> str:
        prefix = "/llama" if client.upstream == "llama" else ""
        return self.bases[client.upstream] if way == "directly" else self.run.url + prefix

    async def accounts(self, client: Client, way: Way, attempt: int = 0) -> Accounts:
        """What came of everything the client does this way; it is run when first asked for, and fails ever after."""
        key = (client.id, way, attempt)
        if key not in self.ran:
            try:
                self.ran[key] = await self._run(client, way, attempt)
            except Exception as error:
                self.ran[key] = error
        ran = self.ran[key]
        if isinstance(ran, Exception):
            raise ran
        return ran

    async def _run(self, client: Client, way: Way, attempt: int) -> Accounts:
        known = await self._exchanges()
        base, jobs = self.base(client, way), jobs_of(client, f"{client.id} {way} {attempt}")
        saw = await program(client, base, jobs)
        accounts = {(each["api"], each["scenario"]): Account(each) for each in saw}
        asked = await self._asked(client, jobs, accounts)
        if way == "through":
            await self.run.settled(len(known) + asked)
            self._share(accounts, (await self._exchanges())[len(known) :])
        for account in accounts.values():
            canonical = Canonical(base, self.bases["aimock"], self.bases["llama"])
            account.seen, account.requests = canonical.of(account.seen), canonical.of(account.requests)
        return accounts

    async def _asked(self, client: Client, jobs: list[dict[str, Any]], accounts: Accounts) -> int:
        """Fill in the upstream's accounts; how many requests there were. The engine keeps none: one for each."""
        if client.upstream == "llama":
            return len(jobs)
        entries = await upstreams.journal(self.bases["aimock"])
        for job in jobs:
            mine = [
                entry for entry in entries if entry["headers"].get(RUN_HEADER.lower()) == job["headers"][RUN_HEADER]
            ]
            accounts[job["api"], job["scenario"]].requests = [request_of(entry) for entry in mine]
        return sum(exchanges_of(account) for account in accounts.values())

    def counted(self, metric: str) -> int:
        """The newest total of a counter that has come over OTLP."""
        points = [point for each in self.receiver.metrics if each["name"] == metric for point in each["points"]]
        return int(max((point["value"] for point in points), default=0))

    def spans(self) -> int:
        """How many requests have been told of over OTLP."""
        return sum(span["kind"] == "SERVER" for span in self.receiver.spans)

    async def requests(self) -> int:
        """How many requests are in the store; a WebSocket's turns are of one."""
        ((count,),) = await self.run.rows("SELECT COUNT(DISTINCT trace_id) FROM exchange WHERE state = 'done'")
        return int(count)

    async def _exchanges(self) -> list[Exchange]:
        """Everything exported so far, in the order of asking."""
        rows = await self.run.rows("SELECT body FROM exchange WHERE state = 'done' ORDER BY started_at, id")
        return [exchange for (body,) in rows if (exchange := decoded(body))]

    def _share(self, accounts: Accounts, exchanges: list[Exchange]) -> None:
        """To each scenario its exchanges: a client asks one after the other, so they lie in the same order."""
        rest = iter(exchanges)
        for account in accounts.values():
            account.exchanges = list(islice(rest, exchanges_of(account)))


def exchanges_of(account: Account) -> int:
    """How many exchanges there must be: one for each request, and a WebSocket with its one turn is two."""
    return sum(2 if request["method"] == "WS" else 1 for request in account.requests) or 1


def jobs_of(client: Client, run: str) -> list[dict[str, Any]]:
    """What the program is given, line by line."""
    return [
        {
            "api": api,
            "scenario": scenario,
            "prompt": TOO_LONG if (client.upstream, scenario) == ("llama", "error") else PROMPTS[scenario],
            "model": APIS[api].model,
            "headers": {RUN_HEADER: f"{run} {api} {scenario}".replace(" ", "-")},
        }
        for api, scenarios in client.does.items()
        for scenario in scenarios
    ]


def command(client: Client, base: str) -> list[str]:
    if client.runtime == "node":
        keep = ["--preserve-symlinks", "--preserve-symlinks-main"]
        return [upstreams.NODE, *keep, str(ROOT / "node" / "programs" / client.program), base, *client.arguments]
    return [str(ROOT / client.runtime / "bin" / "python"), str(PROGRAMS / client.program), base, *client.arguments]


def environment() -> dict[str, str]:
    """Without what would send a client elsewhere; sets have one order, since boto3 tells its features in theirs."""
    ours = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return ours | {"PYTHONHASHSEED": "0"}


async def program(client: Client, base: str, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run the client's program; what it saw of each job, in their order."""
    lines = "".join(f"{json.dumps(job)}\n" for job in jobs)
    process = await asyncio.create_subprocess_exec(
        *command(client, base), stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment()
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(lines.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    saw = [json.loads(line) for line in out.decode().splitlines()]
    assert len(saw) == len(jobs), f"{client.id} did {len(saw)} of {len(jobs)} jobs:\n{err.decode()[-3000:]}"
    return saw


def request_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A request as aimock noted it, and the status it answered with."""
    headers = {name: value for name, value in entry["headers"].items() if name not in NOT_COMPARED}
    kept = {name: entry.get(name) for name in ("method", "path", "body")}
    return {**kept, "headers": headers, "status": entry["response"]["status"]}


@asynccontextmanager
async def a_lab(folder: Path) -> AsyncIterator[Lab]:
    """Everything started, each on a free port."""
    async with OtlpReceiver() as receiver, upstreams.aimock(folder) as aimock, upstreams.llama(folder) as llama:
        routes = [
            {"prefix": "/llama", "upstream": "llama", "strip_prefix": True},
            {"prefix": "/", "upstream": "llm"},
        ]
        # llama-server closes connections that it said it keeps, milliseconds after an answer: none is used twice.
        both = {"llm": {"url": aimock}, "llama": {"url": llama, "keepalive": "0s"}}
        proxy = {"upstreams": both, "routes": routes, "capture": {"max_body": "4MiB"}}
        exporters = {"otlp": {"endpoint": receiver.endpoint, "metrics_interval": "0.5s"}}
        async with running(folder, aimock, proxy=proxy, exporters=exporters) as run:
            yield Lab(run, receiver, aimock, llama)
