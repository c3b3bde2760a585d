"""Who is measured: nobody in between, nginx, the textbook aiohttp proxy, and Sidelight with everything on."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import trustme

from bench import machine
from bench.machine import HARNESS_CPU, PROXY_CPU, Children, python, until
from bench.payloads import PATH
from processors import PROCESSORS

LOOPBACK = "127.0.0.1"
START = 20.0  # s a server may take until it answers
TLS_PREFIX = "/tls"  # requests under it go to the https upstream


class Absent(Exception):
    """A peer cannot be measured here; says why."""


@dataclass(frozen=True)
class Peer:
    """One way to the upstream. `hot` names its data plane's processes, `root` the first one (None: no proxy)."""

    name: str
    origin: str
    hot: Callable[[], Sequence[int]] = tuple
    root: int | None = None
    database: Path | None = None  # where it keeps what it captured, some time after it answered

    @property
    def url(self) -> str:
        return self.origin + PATH

    def captured(self) -> int:
        """How many exchanges are in its store."""
        if self.database is None:
            return 0
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as store:
            return int(store.execute("SELECT count(*) FROM exchange").fetchone()[0])

    @property
    def https_url(self) -> str:
        """Plain to the proxy, https from there."""
        return self.origin + TLS_PREFIX + PATH


@dataclass(frozen=True)
class Place:
    """Where the upstreams and the sink are, and the certificate they are believed by."""

    directory: Path
    http: int
    https: int
    sink: int
    authority: Path

    @property
    def database(self) -> Path:
        return self.directory / "sidelight.db"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def wait_for(children: Children, child: subprocess.Popen[str], ready: Callable[[], bool], what: str) -> None:
    """Until it answers; what it said on stderr when it never does."""

    def answers() -> bool:
        if child.poll() is not None:
            raise Absent(f"{what} ended with {child.returncode}: {children.log_of(child)}")
        return ready()

    try:
        until(answers, START, what)
    except TimeoutError as error:
        raise Absent(f"{error}: {children.log_of(child)}") from error


def start_place(children: Children, directory: Path) -> Place:
    """The upstreams and the OTLP sink, all on the harness's core."""
    ca = trustme.CA()
    leaf = ca.issue_cert(LOOPBACK, "localhost")
    authority, cert, key = (directory / name for name in ("ca.pem", "cert.pem", "key.pem"))
    ca.cert_pem.write_to_path(str(authority))
    leaf.cert_chain_pems[0].write_to_path(str(cert))
    leaf.private_key_pem.write_to_path(str(key))
    place = Place(directory, free_port(), free_port(), free_port(), authority)
    for port, command in (
        (place.http, python("bench.upstream", port=place.http)),
        (place.https, python("bench.upstream", port=place.https, cert=cert, key=key)),
        (place.sink, python("bench.sink", port=place.sink)),
    ):
        child = children.start(*command, cpu=HARNESS_CPU)
        wait_for(children, child, lambda port=port: listens(port), command[2])  # type: ignore[misc]
    return place


def direct(place: Place) -> Peer:
    return Peer("direct", f"http://{LOOPBACK}:{place.http}")


NGINX_CONFIG = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {directory}/pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 100000000;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffering off;
  proxy_ssl_trusted_certificate {authority};
  proxy_ssl_verify on;
  proxy_ssl_name localhost;
  upstream plain {{ server 127.0.0.1:{http}; keepalive 512; keepalive_requests 100000000; }}
  upstream secure {{ server 127.0.0.1:{https}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{ proxy_pass http://plain; }}
    location /tls/ {{ proxy_pass https://secure/; }}
  }}
}}
"""


def nginx(children: Children, place: Place) -> Peer:
    """One worker, upstream connections kept, nothing buffered, nothing logged."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if not binary:
        raise Absent("nginx is not installed (Debian: apt-get install nginx)")
    directory, port = place.directory / "nginx", free_port()
    directory.mkdir(mode=0o755)
    config = directory / "nginx.conf"
    ports = {"http": place.http, "https": place.https, "port": port}
    config.write_text(NGINX_CONFIG.format(directory=directory, authority=place.authority, **ports))
    child = children.start(binary, "-p", str(directory), "-e", "stderr", "-c", str(config), cpu=PROXY_CPU)
    wait_for(children, child, lambda: listens(port), "nginx")
    return Peer("nginx", f"http://{LOOPBACK}:{port}", lambda: sorted(machine.tree(child.pid)), child.pid)


def textbook(children: Children, place: Place) -> Peer:
    """aiohttp on both sides, about fifty lines."""
    port = free_port()
    command = python("tests.support.textbook_proxy", upstream=f"http://{LOOPBACK}:{place.http}", port=port)
    child = children.start(*command, cpu=PROXY_CPU)
    wait_for(children, child, lambda: listens(port), "the textbook proxy")
    return Peer("textbook", f"http://{LOOPBACK}:{port}", lambda: [child.pid], child.pid)


def sidelight_config(place: Place, port: int, health: int) -> dict[str, object]:
    """Everything on: all evaluators on every exchange, the store, OTLP. A short queue, so that overload ends soon."""
    tls = {"ca": str(place.authority)}
    return {
        "proxy": {
            "listen": f"{LOOPBACK}:{port}",
            "upstreams": {
                "plain": {"url": f"http://{LOOPBACK}:{place.http}", "max_idle": 1024},
                "secure": {"url": f"https://{LOOPBACK}:{place.https}", "max_idle": 1024, "tls": tls},
            },
            "routes": [
                {"prefix": TLS_PREFIX, "upstream": "secure", "strip_prefix": True},
                {"prefix": "/", "upstream": "plain"},
            ],
        },
        "processors": {"redact": {}, **{name: {} for name in PROCESSORS}},
        "exporters": {
            "store": {"path": str(place.database)},
            "otlp": {"endpoint": f"http://{LOOPBACK}:{place.sink}"},
        },
        "evaluation": {"queue": 1000},
        "service": {"name": "bench", "health": f"{LOOPBACK}:{health}", "log_level": "warning"},
    }


def fetched(port: int, path: str) -> bytes | None:
    """The body of a 200, None of anything else."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    with suppress(OSError, http.client.HTTPException), closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else None
    return None


def counted(place: Place) -> object:
    """What the sink was sent, by path."""
    return json.loads(fetched(place.sink, "/count") or b"null")


def sidelight(children: Children, place: Place) -> Peer:
    """The product as users run it; its data plane on the proxy's core, all the rest behind the load on the harness's.

    Behind, because elsewhere the load is not on the same machine: what the pipeline cannot take is counted as lost.
    """
    port, health = free_port(), free_port()
    config = place.directory / "sidelight.yaml"
    config.write_text(json.dumps(sidelight_config(place, port, health)))  # JSON is YAML
    command = [*python("sidelight"), "run", "--config", str(config)]
    child = children.start(*command, cpu=HARNESS_CPU)
    wait_for(children, child, lambda: fetched(health, "/") is not None, "sidelight run")
    peer = Peer("sidelight", f"http://{LOOPBACK}:{port}", lambda: roles(child.pid, "proxy"), child.pid, place.database)
    arrange(peer)
    return peer


def arrange(peer: Peer) -> None:
    """Sidelight's processes, those restarted meanwhile too, to where and how they are measured."""
    hot = peer.hot()
    for pid in hot:
        machine.pin(pid, PROXY_CPU)
    for pid in machine.tree(cast("int", peer.root)).difference(hot):
        machine.put_last(pid)


def roles(root: int, role: str) -> list[int]:
    """Sidelight's processes with that role: proxy, pipeline or evaluator."""
    return sorted(pid for pid in machine.tree(root) if f"sidelight.child {role}" in machine.command_of(pid))
