"""An event as bytes: an OTLP LogRecord in the context of an exchange's CLIENT span."""

from __future__ import annotations

from exporters.protobuf import pack_fixed32, pack_fixed64, repeated, sized, utf8
from pipeline.records import Exchange

DEBUG, INFO, WARN = b"\x10\x05", b"\x10\x09", b"\x10\x0d"


def event(name: str, severity: bytes, exchange: Exchange, time: int, attributes: list[bytes]) -> bytes:
    """A length-prefixed LogRecord; `time` in ns since the epoch."""
    trace, at = exchange.trace, pack_fixed64(time)
    return sized(
        b"".join(
            (
                b"\x09",
                at,
                severity,
                repeated(b"\x32", attributes),
                b"\x45",
                pack_fixed32(trace.sampled),
                b"\x4a\x10",
                bytes.fromhex(trace.trace_id),
                b"\x52\x08",
                bytes.fromhex(trace.client_span_id),
                b"\x59",
                at,
                b"\x62",
                sized(utf8(name)),
            )
        )
    )
