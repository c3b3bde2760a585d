"""What the bytes mean, without I/O: Capture → Exchange. A new format is one file and one line here."""

from __future__ import annotations

import msgspec

from pipeline.contracts import WireFormat
from pipeline.records import Capture, Exchange
from wire.anthropic_messages import AnthropicMessages
from wire.http import bare_exchange
from wire.openai_chat import OpenAIChat

WIRE_FORMATS: tuple[WireFormat, ...] = (OpenAIChat(), AnthropicMessages())  # in order of asking


def decode(capture: Capture) -> Exchange:
    """The exchange as the first format that knows it reads it, else as HTTP alone tells it; never raises."""
    try:
        for wire_format in WIRE_FORMATS:
            if wire_format.matches(capture):
                return wire_format.decode(capture)
        return bare_exchange(capture)
    except Exception:
        return msgspec.structs.replace(bare_exchange(capture), decode_error="decoder_failed")
