"""The documented list of head changes, applied: everything else in a head is forwarded byte for byte.

Requests:  the route's path change · HTTP/1.0 becomes 1.1 · Host · fields that stay on the hop cut · the upstream's
           own set/remove · trace context by the upstream's mode.
Responses: fields that stay on the hop cut · `connection: close` added when this connection will close · for an
           HTTP/1.0 client the chunk framing, which it cannot read, is taken off.
"""

from __future__ import annotations

from proxy.headers import Fields, append_lines, cut_line, replace_value
from proxy.heads import RequestHead, ResponseHead
from proxy.routing import Match
from proxy.trace_context import Trace, continued_trace, new_trace


def upstream_head(head: RequestHead, match: Match, trace: Trace) -> bytes:
    """The head the upstream gets."""
    raw = head.raw
    start = len(head.method) + 1
    target = match.upstream_target(head.target)
    if raw[start : start + len(target) + 1] != target + b" ":
        raw = raw[:start] + target + raw[raw.index(b" ", start) :]
    if head.version == b"1.0":
        raw = raw.replace(b" HTTP/1.0\r\n", b" HTTP/1.1\r\n", 1)
    origin = match.origin
    if head.host_name:
        raw = replace_value(raw, head.host_name, origin.authority)
    else:
        raw = append_lines(raw, b"Host: " + origin.authority + b"\r\n")
    for name in head.hop_names:
        raw = cut_line(raw, name)
    if origin.removed:
        raw = without_named(raw, head, origin.removed)
    if origin.header_lines:
        raw = append_lines(raw, origin.header_lines)
    return with_trace(raw, head.trace_fields, origin.settings.trace_context, trace)


def without_named(raw: bytes, head: RequestHead, names: frozenset[bytes]) -> bytes:
    """The head without any field of these lower-case names."""
    for name, _ in head.fields:
        if name.lower() in names and name not in head.hop_names and name != head.host_name:
            raw = cut_line(raw, name)
    return raw


def with_trace(raw: bytes, fields: Fields, mode: str, trace: Trace) -> bytes:
    """`participate` names our CLIENT span as the parent, `none` says nothing to strangers."""
    if mode == "passthrough":
        return raw
    if mode == "none":
        for name, _ in fields:
            raw = cut_line(raw, name)
        return raw
    told = False
    for name, _ in fields:
        lower = name.lower()
        if lower == b"traceparent" and not told:
            raw, told = replace_value(raw, name, trace.traceparent()), True
        elif lower == b"traceparent" or (lower == b"tracestate" and not trace.parent_span_id):
            raw = cut_line(raw, name)
    return raw if told else append_lines(raw, b"traceparent: " + trace.traceparent() + b"\r\n")


def trace_of(fields: Fields) -> Trace:
    """The caller's trace when its fields are valid and unambiguous, else a new one."""
    parents = [value for name, value in fields if name.lower() == b"traceparent"]
    if len(parents) == 1:
        states = b",".join(value for name, value in fields if name.lower() == b"tracestate")
        if trace := continued_trace(parents[0], states):
            return trace
    return new_trace()


def client_head(head: ResponseHead, *, close: bool, chunked: bool = True) -> bytes:
    """The head the client gets; `chunked` says whether the chunk framing stays."""
    raw = head.raw
    if not chunked:
        raw = cut_line(raw, next(name for name, _ in head.fields if name.lower() == b"transfer-encoding"))
    for name in head.hop_names:
        raw = cut_line(raw, name)
    return append_lines(raw, b"connection: close\r\n") if close else raw
