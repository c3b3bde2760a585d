"""Amazon's event stream as the service writes it, for captures that are made up."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

HEADER_FORMATS = {2: "!b", 3: "!h", 4: "!i", 5: "!q", 8: "!q", 9: "!16s"}


def header(name: str, value: Any, kind: int = 7) -> bytes:
    """One header of the type with this number; text unless told otherwise."""
    if kind in (0, 1):
        encoded = b""
    elif kind in HEADER_FORMATS:
        encoded = struct.pack(HEADER_FORMATS[kind], value)
    else:
        content = value.encode() if isinstance(value, str) else value
        encoded = struct.pack("!H", len(content)) + content
    return bytes([len(name.encode())]) + name.encode() + bytes([kind]) + encoded


def message(headers: bytes, payload: bytes) -> bytes:
    """One message with both its checksums."""
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    checked = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return checked + struct.pack("!I", zlib.crc32(checked))


def event(kind: str, payload: Any) -> bytes:
    """An event with this payload as JSON."""
    headers = header(":event-type", kind) + header(":content-type", "application/json")
    return message(headers + header(":message-type", "event"), json.dumps(payload, separators=(",", ":")).encode())


def failure(kind: str, told: str) -> bytes:
    """An exception in the stream."""
    headers = header(":exception-type", kind) + header(":content-type", "application/json")
    return message(headers + header(":message-type", "exception"), json.dumps({"message": told}).encode())


def chunk(payload: Any) -> bytes:
    """A model's own event inside Bedrock's."""
    inner = base64.b64encode(json.dumps(payload, separators=(",", ":")).encode()).decode()
    return event("chunk", {"bytes": inner, "p": "abcdefghijk"})
