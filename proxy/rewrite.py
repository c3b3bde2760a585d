"""The documented list of head changes, applied: everything else in a head is forwarded byte for byte.

Requests:  the route's path change · HTTP/1.0 becomes 1.1 · Host · fields that stay on the hop cut, but `Upgrade` and
           its `Connection` where a WebSocket is asked for · the upstream's own set/remove · trace context by the
           upstream's mode.
Responses: fields that stay on the hop cut · `connection: close` added when this connection will close · for an
           HTTP/1.0 client the chunk framing, which it cannot read, is taken off.
"""

from __future__ import annotations

from proxy.headers import TRACE_FIELDS, Fields, append_lines, cut_line, replace_value
from proxy.heads import RequestHead, ResponseHead
from proxy.routing import Match, Origin
from proxy.trace_context import Trace, continued_trace, new_trace


def upstream_head(head: RequestHead, match: Match, trace: Trace) -> bytes:
    """The head the upstream gets."""
    raw, origin = head.raw, match.origin
    start = len(head.method) + 1
    target = match.upstream_target(head.target)
    if raw[start : start + len(target) + 1] != target + b" ":
        raw = raw[:start] + target + raw[raw.index(b" ", start) :]
    if head.version == b"1.0":
        raw = raw.replace(b" HTTP/1.0\r\n", b" HTTP/1.1\r\n", 1)
    added = origin.header_lines
    if head.host_name:
        raw = replace_value(raw, head.host_name, origin.authority)
    else:
        added += b"Host: " + origin.authority + b"\r\n"
    if head.upgrades:
        added += b"Connection: Upgrade\r\n"
    cut = head.hop_names
    if head.trace_fields or origin.removed:
        cut = fields_cut(head, origin, trace)
    if origin.settings.trace_context == "participate":
        if trace.parent_span_id:
            name = next(name for name, _ in head.trace_fields if name.lower() == b"traceparent")
            raw = replace_value(raw, name, trace.traceparent())
        else:
            added += b"traceparent: " + trace.traceparent() + b"\r\n"
    for name in cut:
        raw = cut_line(raw, name)
    return append_lines(raw, added) if added else raw


def fields_cut(head: RequestHead, origin: Origin, trace: Trace) -> list[bytes]:
    """The spellings of all fields that are not forwarded, one for each line."""
    names = {name.lower() for name in head.hop_names} | origin.removed
    mode = origin.settings.trace_context
    if mode == "none":
        names |= TRACE_FIELDS
    elif mode == "participate" and trace.parent_span_id:
        names -= {b"traceparent"}  # ours stands in its line
    elif mode == "participate":
        names |= {b"traceparent", b"tracestate"}  # what was not a valid parent, or named by two
    return [name for name, _ in head.fields if name.lower() in names]


def trace_of(fields: Fields) -> Trace:
    """The caller's trace when its fields are valid and unambiguous, else a new one."""
    if not fields:
        return new_trace()
    parents = [value for name, value in fields if name.lower() == b"traceparent"]
    if len(parents) == 1:
        states = b",".join(value for name, value in fields if name.lower() == b"tracestate")
        if trace := continued_trace(parents[0].strip(b" \t"), states):
            return trace
    return new_trace()


def client_head(raw: bytes, head: ResponseHead, *, close: bool, chunked: bool = True) -> bytes:
    """The head the client gets of `raw`, which `head` describes; `chunked` says whether the chunk framing stays."""
    if not chunked:
        raw = cut_line(raw, next(name for name, _ in head.fields if name.lower() == b"transfer-encoding"))
    for name in head.hop_names:
        raw = cut_line(raw, name)
    return append_lines(raw, b"connection: close\r\n") if close else raw
