"""docs/clients.md: what the tests found, a line for each client and API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.clients.matrix import APIS, CLIENTS, CURL, STANDARD, Cell, Client

FILE = Path(__file__).parents[2] / "docs" / "clients.md"
HERE = Path(__file__).parent
SAME, RAISES, FAILED, UNKNOWN = "✓", "✓ raises", "✗", "?"
RAISING = ("error", "cut")  # where a client is meant to raise
UPSTREAMS = {"aimock": "aimock", "llama": "llama-server"}
Results = Mapping[tuple[str, str, str], str]  # (client, API, scenario) → one of the signs

HEAD = """# Real clients

Published clients, unmodified, once directly at an endpoint and once through Sidelight. A tick says three things. The
client saw the same: text, tool calls, counts, every chunk, or the exception and its message. The endpoint was asked the
same: paths, headers, bodies, attempts. And what Sidelight exported is what happened: wire format, operation, model,
text, tool calls, and the very token counts that the client was told. The endpoints are foreign too:
[aimock] {aimock}, a mock that speaks every API, and llama.cpp's `llama-server` with a tiny random model.

`make test-clients` writes this file; the programs are in `tests/clients/programs/`. "{raises}" stands where the client
fails at this endpoint, and fails the same way through Sidelight. A dash: the client has no such call, does not retry,
or is not asked to here.
"""
FOOT = "[aimock]: https://github.com/CopilotKit/aimock\n"


def key(cell: Cell) -> tuple[str, str, str]:
    return cell.client.id, cell.api, cell.scenario


def sign(cell: Cell, raised: bool) -> str:
    """The sign of a cell whose tests passed."""
    return RAISES if raised and cell.scenario not in RAISING else SAME


def locked(runtime: str, package: str) -> str:
    """The version of a package in the lock file of its environment."""
    if runtime == "node":
        packages = json.loads((HERE / "node" / "package-lock.json").read_text())["packages"]
        return str(packages[f"node_modules/{package}"]["version"])
    found = re.search(rf"^{re.escape(package)}==(\S+)", (HERE / "python" / f"{runtime}.txt").read_text(), re.MULTILINE)
    return found[1] if found else ""


def version(client: Client) -> str:
    return locked(client.runtime, client.package) if client.package else "the machine's"


def line(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |"


def rows(results: Results) -> Iterator[str]:
    """The table of clients and APIs."""
    titles = [title for title, _ in STANDARD.values()]
    yield line(["client", "version", "API", "endpoint", *titles])
    yield line(["---"] * 4 + [":-:"] * len(titles))
    for client in CLIENTS:
        for api, scenarios in client.does.items():
            signs = [results.get((client.id, api, each), UNKNOWN) if each in scenarios else "–" for each in STANDARD]
            yield line([client.name, version(client), APIS[api].title, UPSTREAMS[client.upstream], *signs])


def curl_rows(results: Results) -> Iterator[str]:
    """The table of what curl does alone."""
    curls = [client for client in CLIENTS if client.name == "curl"]
    yield line(["curl", *(UPSTREAMS[client.upstream] for client in curls)])
    yield line(["---", *[":-:"] * len(curls)])
    for scenario, title in CURL.items():
        signs = [
            results.get((client.id, "http", scenario), UNKNOWN) if scenario in client.does["http"] else "–"
            for client in curls
        ]
        yield line([title, *signs])


def render(results: Results) -> str:
    """The whole file."""
    head = HEAD.format(aimock=locked("node", "@copilotkit/aimock"), raises=RAISES)
    return "\n".join([head, *rows(results), "", *curl_rows(results), "", FOOT])
