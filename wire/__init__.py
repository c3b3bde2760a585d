"""What the bytes mean, without I/O: Capture → Exchange. A new format is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pipeline.contracts import SplicedFormat, WireFormat
from pipeline.records import Capture, Exchange
from wire.anthropic_messages import AnthropicMessages
from wire.http import bare_exchange
from wire.openai_chat import OpenAIChat
from wire.openai_responses import OpenAIResponses

WIRE_FORMATS: tuple[WireFormat, ...] = (  # in order of asking
    OpenAIChat(),
    OpenAIResponses(),
    AnthropicMessages(),
)
SPLICED_FORMATS: tuple[SplicedFormat, ...] = ()  # of what follows a 101


def exchanges_of(capture: Capture, formats: Mapping[str, str] | None = None) -> tuple[Exchange, ...]:
    """What a capture holds: the HTTP exchange it is or, spliced, the turns of one; never raises.

    `formats` names the wire format of routes (by prefix) whose paths do not tell. A spliced connection's own exchange
    comes with its last part.
    """
    if capture.status != 101:
        return (decode(capture, (formats or {}).get(capture.route)),)
    own = (msgspec.structs.replace(bare_exchange(capture), wire="websocket"),) if capture.last else ()
    try:
        turns = next((spliced.turns(capture) for spliced in SPLICED_FORMATS if spliced.matches(capture)), ())
    except Exception:
        return (msgspec.structs.replace(bare_exchange(capture), wire="websocket", decode_error="decoder_failed"),)
    return own + turns


def decode(capture: Capture, named: str | None = None) -> Exchange:
    """The exchange as the format of that name reads it, else the first that knows it, else as HTTP alone tells it."""
    try:
        for wire_format in WIRE_FORMATS:
            if wire_format.name == named or (named is None and wire_format.matches(capture)):
                return wire_format.decode(capture)
        return bare_exchange(capture)
    except Exception:
        return msgspec.structs.replace(bare_exchange(capture), decode_error="decoder_failed")
