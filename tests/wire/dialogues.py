"""The recorded dialogues: what both sides said on a spliced connection as a Capture, and what its turns must say.

data/<format>/<case>/: dialogue.jsonl, an event a line, {"at": ms, "by": client or server, "event": …};
                       connection.json: further fields of the Capture; exchanges.json: what must come of it.
"""

from __future__ import annotations

import json
from typing import Any

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.protocol import CLIENT, SERVER, Protocol, State

from pipeline.records import Capture
from tests.support.records import MS, a_capture
from tests.wire.cases import DATA, fields_of

DIALOGUES = sorted(path.parent.relative_to(DATA).as_posix() for path in DATA.glob("*/*/exchanges.json"))
TARGETS = {
    "openai_realtime": "/v1/realtime?model=gpt-realtime",
    "openai_responses_socket": "/v1/responses",
}

Said = tuple[int, str, dict[str, Any]]


def dialogue_of(case: str) -> list[Said]:
    lines = (DATA / case / "dialogue.jsonl").read_text().splitlines()
    return [(said["at"], said["by"], said["event"]) for said in map(json.loads, lines)]


def expected_turns(case: str) -> list[dict[str, Any]]:
    return json.loads((DATA / case / "exchanges.json").read_text())


def connection(said: list[Said], target: str, deflate: bool = False, **changes: Any) -> Capture:
    """The capture of a connection on which this was said."""
    ends = {side: Protocol(side, state=State.OPEN) for side in (CLIENT, SERVER)}
    if deflate:
        for end in ends.values():
            end.extensions = [PerMessageDeflate(False, False, 15, 15)]
    bytes_of = {CLIENT: b"", SERVER: b""}
    arrivals: dict[Any, list[tuple[int, int]]] = {CLIENT: [], SERVER: []}
    for at, by, event in said:
        side = CLIENT if by == "client" else SERVER
        arrivals[side].append((len(bytes_of[side]), at * MS))
        ends[side].send_text(json.dumps(event, ensure_ascii=False).encode())
        bytes_of[side] += b"".join(ends[side].data_to_send())
    agreed = (("Sec-WebSocket-Extensions", "permessage-deflate"),) if deflate else ()
    fields = {
        "method": "GET",
        "target": target,
        "status": 101,
        "request_headers": (("Upgrade", "websocket"), ("Connection", "Upgrade")),
        "response_headers": (("Upgrade", "websocket"), ("Connection", "Upgrade"), *agreed),
        "request_body": bytes_of[CLIENT],
        "request_arrivals": tuple(arrivals[CLIENT]),
        "response_body": bytes_of[SERVER],
        "arrivals": tuple(arrivals[SERVER]),
        "ended_at": (said[-1][0] + 1) * MS if said else 0,
    }
    return a_capture(**fields | changes)


def read_dialogue(case: str, deflate: bool = False) -> Capture:
    changes = fields_of(DATA / case / "connection.json")
    target = changes.pop("target", TARGETS[case.split("/")[0]])
    return connection(dialogue_of(case), target, deflate, **changes)
