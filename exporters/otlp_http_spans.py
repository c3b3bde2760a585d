"""The HTTP layer of an exchange as spans: what the client asked of us, and what we asked of the upstream."""

from __future__ import annotations

import re
from collections.abc import Sequence

from exporters import semconv
from exporters.otlp_span import (
    IS_REMOTE,
    LONGEST_NAME,
    SERVER,
    Telling,
    client_span,
    failed,
    span,
    times_of,
    upstream_attributes,
)
from exporters.outcome import http_error
from exporters.protobuf import common_attribute, int_attribute, text_attribute
from pipeline.records import EvaluatedExchange, Exchange

HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{1,64}\]|[A-Za-z0-9._-]{1,255})(?::(?P<port>[0-9]{1,5}))?")


def server_span(exchange: Exchange, telling: Telling, more: Sequence[bytes] = ()) -> bytes:
    """What the client asked of us, by the HTTP conventions; `more` is what a dialect adds."""
    http, trace = exchange.http, exchange.trace
    attributes = [
        *method_attributes(http.method),
        common_attribute(semconv.URL_SCHEME, http.scheme),
        common_attribute(semconv.URL_PATH, http.path[: telling.value]),
        common_attribute(semconv.NETWORK_PROTOCOL_VERSION, http.version),
        common_attribute(semconv.CLIENT_ADDRESS, http.client_address),
        int_attribute(semconv.CLIENT_PORT, http.client_port),
        common_attribute(semconv.NETWORK_PEER_ADDRESS, http.client_address),
        int_attribute(semconv.NETWORK_PEER_PORT, http.client_port),
        int_attribute(semconv.HTTP_REQUEST_BODY_SIZE, http.request_size),
        int_attribute(semconv.HTTP_RESPONSE_BODY_SIZE, http.response_size),
        text_attribute(semconv.EXCHANGE_ID, exchange.id),
        *host_attributes(http.host),
        *more,
    ]
    if http.query:
        attributes.append(text_attribute(semconv.URL_QUERY, without_secrets(http.query)[: telling.value]))
    if http.route:
        attributes.append(common_attribute(semconv.HTTP_ROUTE, http.route))
    if http.user_agent:
        attributes.append(common_attribute(semconv.USER_AGENT_ORIGINAL, http.user_agent[: telling.value]))
    if http.status is not None:
        attributes.append(int_attribute(semconv.HTTP_RESPONSE_STATUS_CODE, http.status))
    status = failed(attributes, http_error(exchange, errors_from=500))
    name = semconv.server_span_name(http.method, http.route)
    parent = trace.parent_span_id
    own_id = bytes.fromhex(trace.server_span_id)
    remote = IS_REMOTE if parent else 0
    return span(exchange, own_id, parent, name, SERVER, times_of(exchange), attributes, status, remote)


def host_attributes(host: str | None) -> list[bytes]:
    """Whom the client asked for; a Host header that is none of a host and a port tells nothing."""
    if host is None or not (parts := HOST.fullmatch(host)):
        return []
    address = common_attribute(semconv.SERVER_ADDRESS, parts["name"].strip("[]"))
    return [address, int_attribute(semconv.SERVER_PORT, int(parts["port"]))] if parts["port"] else [address]


def http_client_span(evaluated: EvaluatedExchange, telling: Telling) -> bytes:
    """What we asked of the upstream, when that is all we know of it."""
    exchange = evaluated.exchange
    http = exchange.http
    query = f"?{without_secrets(http.query)}" if http.query else ""
    host = f"[{http.server_address}]" if ":" in http.server_address else http.server_address
    attributes = [*method_attributes(http.method), *upstream_attributes(evaluated)]
    # The upstream's own scheme is not on record; 443 tells it where it matters.
    scheme = "https" if http.server_port == 443 else "http"
    url = f"{scheme}://{host}:{http.server_port}{http.path}{query}"
    attributes.append(text_attribute(semconv.URL_FULL, url[: telling.value]))
    if http.status is not None:
        attributes.append(int_attribute(semconv.HTTP_RESPONSE_STATUS_CODE, http.status))
    status = failed(attributes, http_error(exchange, errors_from=400))
    start, end = times_of(exchange)
    times = (start + (exchange.timing.sent_at or 0), end)
    return client_span(exchange, semconv.server_span_name(http.method, None), times, attributes, status)


def method_attributes(method: str) -> list[bytes]:
    known = semconv.known_method(method)
    attributes = [common_attribute(semconv.HTTP_REQUEST_METHOD, known)]
    if known != method:
        attributes.append(text_attribute(semconv.HTTP_REQUEST_METHOD_ORIGINAL, method[:LONGEST_NAME]))
    return attributes


def without_secrets(query: str) -> str:
    """The query with the values of known credentials replaced."""
    pairs = (pair.partition("=") for pair in query.split("&"))
    return "&".join(
        f"{name}={semconv.REDACTED}" if equals and name.lower() in semconv.SECRET_QUERY_KEYS else name + equals + value
        for name, equals, value in pairs
    )
