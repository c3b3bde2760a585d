"""What a client saw, without what no two calls share: ids, times, the port, and the connection's own headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# A prefix says what an id is of; it is followed by eight or more characters that chance chose.
ID = re.compile(
    r"(?<![A-Za-z0-9])(chatcmpl|cmpl|resp|msg|req|rs|fc|call|event|item|sess|conv|file|gen|rerank|lc_run-|run|embd|ig)"
    r"[-_][A-Za-z0-9_-]{8,}"
)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
BARE = re.compile(
    r"^(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9]{16,40}$"
)  # an id without a prefix: llama-server's, the AI SDK's
BOUNDARY = re.compile(r"(?<=boundary=)[A-Za-z0-9_-]{16,}")
HTTP_DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")
SIGNING_TIME = re.compile(r"\d{8}T\d{6}Z")
# Headers that belong to the connection, in an HTTP head and in a printed dict.
HOP = re.compile(r"(?i)\r\n(connection|keep-alive|transfer-encoding|content-length): [^\r]*")
HOP_PRINTED = re.compile(r"(?i)'(connection|keep-alive|transfer-encoding|content-length)': '[^']*'(, )?")
TIMINGS = re.compile(r',"timings":\{[^}]*\}')  # llama-server's, in a body as text
EPOCH = re.compile(r'("(?:created|created_at|completed_at|expires_at)":\s?)\d+(\.\d+)?')
TIMES = frozenset({"created", "created_at", "completed_at", "expires_at", "timestamp"})
STOPWATCHES = frozenset({"timings", "performance"})  # llama-server's and the AI SDK's
HOPS = frozenset({"connection", "keep-alive", "transfer-encoding"})


class Canonical:
    """Makes two accounts of the same thing equal; an id keeps its name as long as it lives."""

    def __init__(self, *bases: str) -> None:
        self.hosts = [base.partition("://")[2] for base in bases]
        self.names: dict[str, str] = {}

    def of(self, value: Any) -> Any:
        """The value with every id numbered by its first appearance and every time named so."""
        if isinstance(value, Mapping):
            kept = {key: each for key, each in value.items() if key not in STOPWATCHES | HOPS}
            return {self.text(key): "TIME" if key in TIMES and each else self.of(each) for key, each in kept.items()}
        if isinstance(value, list | tuple):
            return [self.of(each) for each in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        for host in self.hosts:
            text = text.replace(host, "HOST")
        for pattern in (HTTP_DATE, ISO_TIME, SIGNING_TIME):
            text = pattern.sub("TIME", text)
        text = TIMINGS.sub("", text)
        text = HOP_PRINTED.sub("", HOP.sub("", EPOCH.sub(r"\1TIME", text)))
        for pattern in (ID, UUID, BARE, BOUNDARY):
            text = pattern.sub(self._named, text)
        return text

    def _named(self, match: re.Match[str]) -> str:
        return self.names.setdefault(match[0], f"ID{len(self.names) + 1}")


def differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Where two accounts differ, as `path: this is not that`."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        return [each for key in keys for each in differences(one.get(key), other.get(key), f"{at}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [each for index, (mine, its) in pairs for each in differences(mine, its, f"{at}[{index}]")]
    return [] if one == other else [f"{at}: {one!r} is not {other!r}"]
