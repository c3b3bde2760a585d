"""What the bytes mean, without I/O: Capture → Exchange. A new format is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pipeline.contracts import SplicedFormat, WireFormat
from pipeline.records import Capture, Exchange
from wire.anthropic_batches import AnthropicBatches
from wire.anthropic_count_tokens import AnthropicCountTokens
from wire.anthropic_messages import AnthropicMessages
from wire.bedrock_converse import BedrockConverse
from wire.bedrock_invoke import BedrockInvoke
from wire.cohere_chat import CohereChat
from wire.cohere_chat_v1 import CohereChatV1
from wire.cohere_embed import CohereEmbed
from wire.gemini import Gemini
from wire.gemini_embeddings import GeminiEmbeddings
from wire.http import bare_exchange
from wire.ollama import Ollama
from wire.ollama_embeddings import OllamaEmbeddings
from wire.openai_audio import OpenAIAudio
from wire.openai_chat import OpenAIChat
from wire.openai_completions import OpenAICompletions
from wire.openai_embeddings import OpenAIEmbeddings
from wire.openai_images import OpenAIImages
from wire.openai_moderations import OpenAIModerations
from wire.openai_realtime import OpenAIRealtime
from wire.openai_responses import OpenAIResponses
from wire.openai_responses_socket import OpenAIResponsesSocket
from wire.rerank import Rerank

WIRE_FORMATS: tuple[WireFormat, ...] = (  # in order of asking
    OpenAIChat(),
    OpenAIResponses(),
    OpenAICompletions(),
    OpenAIEmbeddings(),
    OpenAIModerations(),
    AnthropicMessages(),
    AnthropicCountTokens(),
    AnthropicBatches(),
    BedrockConverse(),
    BedrockInvoke(),
    OpenAIImages(),
    OpenAIAudio(),
    Gemini(),
    GeminiEmbeddings(),
    Ollama(),
    OllamaEmbeddings(),
    CohereChat(),
    CohereChatV1(),
    CohereEmbed(),
    Rerank(),
)
SPLICED_FORMATS: tuple[SplicedFormat, ...] = (  # of what follows a 101
    OpenAIRealtime(),
    OpenAIResponsesSocket(),
)


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
