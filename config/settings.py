"""The whole configuration tree on one screen; every field is documented in docs/configuration.md.

Components (processors, exporters) are dataclasses of their own packages; here they are only named options,
which `config.build` turns into instances with the registries that `sidelight.components` passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_size(value: object) -> object:
    """`64MiB` → bytes."""
    if isinstance(value, str):
        if match := re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMG]i?B|B)?", value.strip()):
            return int(float(match[1]) * UNITS[match[2] or "B"])
        raise ValueError(f"{value!r} is not a size; write a number with B, KB, MB, GB, KiB, MiB or GiB, like 64MiB")
    return value


def parse_duration(value: object) -> object:
    """`1.5s`, `200ms`, `10m`, `30d` → seconds; a bare number is seconds."""
    if isinstance(value, str):
        if match := re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*(ms|s|m|h|d)?", value.strip()):
            return float(match[1]) * DURATIONS[match[2] or "s"]
        raise ValueError(f"{value!r} is not a duration; write a number with ms, s, m, h or d, like 30s")
    return value


def parse_address(value: object) -> object:
    """`host:port`, `[::1]:port` or `unix:/path`, checked and left as it is."""
    if not isinstance(value, str):
        raise ValueError("write host:port, like 127.0.0.1:4000, or unix:/path/to/socket")
    if value.startswith("unix:") and value != "unix:":
        return value
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is not an address; write host:port, like 127.0.0.1:4000, or unix:/path/to/socket")
    return value


def parse_url(value: object) -> object:
    """An http or https origin, with an optional base path."""
    if not isinstance(value, str):
        raise ValueError("write a URL, like https://api.openai.com")
    if not value.isprintable() or " " in value:
        raise ValueError("a URL with a space or control character in it; remove it")
    try:
        parts, port = urlsplit(value), urlsplit(value).port
    except ValueError:
        raise ValueError("a URL whose host or port cannot be read; write it like https://api.openai.com") from None
    if port == 0:
        raise ValueError("a URL with port 0; give the port that the endpoint listens on")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"{value!r} is not a usable URL; write http:// or https:// and a host, like https://api.openai.com"
        )
    if parts.username or parts.password:
        raise ValueError("a URL with a user or password in it would leak; set a header instead, with ${env:...}")
    if parts.query or parts.fragment:
        raise ValueError("a URL with a query or fragment; give the origin and at most a base path")
    return value


def is_loopback(address: str) -> bool:
    """Can only this machine reach it?"""
    host = address.rpartition(":")[0].strip("[]")
    return address.startswith("unix:") or host in ("localhost", "::1") or host.startswith("127.")


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0, le=2**50)]
Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, le=100 * 366 * 86400.0)]
Address = Annotated[str, BeforeValidator(parse_address)]
Url = Annotated[str, BeforeValidator(parse_url)]
HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")]


class Section(BaseModel):
    """Frozen, and strict about keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClientCertificate(Section):
    cert: str  # PEM file
    key: str  # PEM file


class UpstreamTls(Section):
    ca: str | None = None  # PEM file; None: the system's
    client: ClientCertificate | None = None
    server_name: str | None = None  # SNI and the name verified; None: the URL's host


class HeaderChanges(Section):
    set: Mapping[HeaderName, SecretStr] = {}
    remove: tuple[HeaderName, ...] = ()


class Upstream(Section):
    url: Url
    provider: str | None = None  # gen_ai.provider.name; None: known from the host or the wire format
    headers: HeaderChanges = HeaderChanges()
    trace_context: Literal["participate", "passthrough", "none"] = "participate"
    tls: UpstreamTls = UpstreamTls()
    connect_timeout: Duration = 5.0
    first_byte_timeout: Duration = 600.0  # request sent → first byte of the answer; 0: no limit
    idle_timeout: Duration = 600.0  # silence in the middle of an answer; 0: no limit
    keepalive: Duration = 30.0  # how long an idle connection is kept
    max_idle: int = Field(default=256, ge=0)  # idle connections kept


class Route(Section):
    prefix: str = Field(pattern=r"^/")
    upstream: str
    strip_prefix: bool = False
    wire: str | None = None  # the wire format of everything under it; None: as each path tells


class CaptureLimits(Section):
    max_body: Size = 2**20  # of each body; the copy is cut there, the client's bytes are not
    buffer: Size = 64 * 2**20  # all copies of one proxy process together
    ring: Size = 4 * 2**20  # the hand-off to the pipeline; small enough to stay in cache


class Limits(Section):
    max_connections: int = Field(default=10_000, ge=1)  # clients, each proxy process
    max_header_size: Size = 64 * 2**10
    max_header_count: int = Field(default=128, ge=1)
    header_timeout: Duration = 60.0  # first byte of a request → end of its head
    body_timeout: Duration = 60.0  # silence in the middle of a request body
    keepalive: Duration = 75.0  # idle client connection
    drain: Duration = 30.0  # SIGTERM: how long answers in flight may take


class ListenTls(Section):
    cert: str
    key: str


class Proxy(Section):
    listen: Address = "127.0.0.1:4000"
    tls: ListenTls | None = None
    workers: int = Field(default=1, ge=1, le=64)
    half_close: Literal["cancel", "serve"] = "cancel"  # a client's FIN before its answer: gone, or only done sending?
    upstreams: Mapping[str, Upstream] = Field(min_length=1)
    routes: tuple[Route, ...] = ()  # longest prefix wins; empty with one upstream: everything goes there
    capture: CaptureLimits = CaptureLimits()
    limits: Limits = Limits()

    @model_validator(mode="before")
    @classmethod
    def one_upstream_needs_no_route(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("routes") and isinstance(data.get("upstreams"), Mapping):
            names = list(data["upstreams"])
            if len(names) == 1:
                return data | {"routes": [{"prefix": "/", "upstream": names[0]}]}
        return data


class Evaluation(Section):
    """How evaluators are run; they are listed under `processors`."""

    workers: int = Field(default=1, ge=1, le=64)
    timeout: Annotated[Duration, Field(gt=0)] = 1.0  # each evaluator on each exchange
    max_memory: Size = 2**30  # each worker's address space; 0: no limit
    max_attempts: int = Field(default=3, ge=1)  # times an exchange may kill a worker before it is set aside
    queue: int = Field(default=10_000, ge=1)  # exchanges waiting to be evaluated


class Store(Section):
    path: str = "sidelight.db"
    retention: Duration = 30 * 86400.0
    content: Literal["redacted", "off", "full"] | None = None  # None: as processors.redact says; may only be stricter


class Console(Section):
    """The control port: what comes in beside traffic."""

    listen: Address = "127.0.0.1:4001"
    token: SecretStr | None = None  # needed wherever others than this machine can reach it

    @model_validator(mode="after")
    def others_need_a_token(self) -> Console:
        if self.token is None and not is_loopback(self.listen):
            raise ValueError(f"{self.listen} can be reached from elsewhere: set console.token, or listen on 127.0.0.1")
        return self


class Service(Section):
    name: str | None = None  # None: OTEL_SERVICE_NAME, else sidelight
    environment: str | None = None
    attributes: Mapping[str, str] = {}
    health: Address | None = "127.0.0.1:13133"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Section):
    proxy: Proxy
    processors: Mapping[str, Mapping[str, Any] | None] = {}
    exporters: Mapping[str, Mapping[str, Any] | None] = {}
    evaluation: Evaluation = Evaluation()
    store: Store = Store()
    console: Console | None = None
    service: Service = Service()
