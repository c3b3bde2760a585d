"""Path → upstream: the longest prefix wins, at a path-segment border."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from config.settings import Proxy, Upstream
from pipeline.frame import Place

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Origin:
    """One upstream as the data plane needs it: where it is, and what its requests are changed to."""

    __slots__ = ("authority", "base_path", "header_lines", "host", "name", "port", "removed", "scheme", "settings")

    def __init__(self, name: str, settings: Upstream) -> None:
        parts = urlsplit(settings.url)
        assert parts.hostname
        self.name = name
        self.settings = settings
        self.scheme = parts.scheme
        self.host = parts.hostname
        self.port = parts.port or DEFAULT_PORTS[parts.scheme]
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.authority = (host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}").encode()
        self.base_path = parts.path.rstrip("/").encode()
        header_set = settings.headers.set
        self.header_lines = b"".join(
            f"{name}: {value.get_secret_value()}\r\n".encode("latin-1") for name, value in header_set.items()
        )
        self.removed = frozenset(
            name.lower().encode() for name in (*settings.headers.remove, *header_set)
        )  # what is set replaces what the client sent


class Match:
    """A route that matched: whose origin it is, the path that origin is asked for, and what captures say of it."""

    __slots__ = ("origin", "place", "strip")

    def __init__(self, prefix: str, strip: bool, origin: Origin, scheme: str = "http") -> None:
        self.strip = len(prefix.rstrip("/").encode()) if strip else 0
        self.origin = origin
        self.place = Place(origin.name, prefix, scheme, origin.host, origin.port, origin.settings.provider)

    def upstream_target(self, target: bytes) -> bytes:
        """The target with the prefix stripped and the origin's base path put before it."""
        if self.strip:
            target = target[self.strip :]
            if not target.startswith(b"/"):
                target = b"/" + target
        return self.origin.base_path + target


class Routes:
    """All routes, longest prefix first."""

    def __init__(self, proxy: Proxy) -> None:
        self.origins = {name: Origin(name, upstream) for name, upstream in proxy.upstreams.items()}
        ordered = sorted(proxy.routes, key=lambda route: len(route.prefix.rstrip("/")), reverse=True)
        scheme = "https" if proxy.tls else "http"
        self._matches = [
            (
                route.prefix.rstrip("/").encode(),
                Match(route.prefix, route.strip_prefix, self.origins[route.upstream], scheme),
            )
            for route in ordered
        ]

    def find(self, target: bytes) -> Match | None:
        """The route for a request target, query and all."""
        for prefix, match in self._matches:
            if not prefix:
                return match
            if target.startswith(prefix) and target[len(prefix) : len(prefix) + 1] in (b"/", b"?", b""):
                return match
        return None
