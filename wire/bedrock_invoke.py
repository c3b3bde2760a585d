"""Amazon Bedrock's invocations: the request and the answer are those of the model's vendor, Bedrock is around them."""

from __future__ import annotations

import binascii
import re
from typing import Any, ClassVar, NamedTuple

import msgspec

from pipeline.records import Capture, Exchange, Headers, Json, Message, Part, Usage
from wire.anthropic_messages import AnthropicMessages
from wire.bedrock_converse import BedrockConverse, token_usage
from wire.bedrock_prompt import BedrockPrompt
from wire.bodies import loads, loads_or_salvage
from wire.cohere_chat_v1 import CohereChatV1
from wire.cohere_embed import CohereEmbed
from wire.http import header, path_of
from wire.media import blob
from wire.openai_chat import OpenAIChat
from wire.reading import Answer, Answered, Asked, Call, JsonApi, ModelApi, decode_call, given, metadata_claims
from wire.shapes import Shapes
from wire.whole_answer import WholeAnswer

PATH = re.compile(r"(?>.*?/model/)(.+)/(invoke|invoke-with-response-stream)$")  # as in bedrock_converse
METRICS = "amazon-bedrock-invocationMetrics"
INTERVENED = "amazon-bedrock-guardrailAction"
# What Converse calls a count: what the metrics of a stream's last chunk call it, and the header of a whole answer.
COUNTS = {
    "inputTokens": ("inputTokenCount", "x-amzn-bedrock-input-token-count"),
    "outputTokens": ("outputTokenCount", "x-amzn-bedrock-output-token-count"),
    "cacheReadInputTokens": ("cacheReadInputTokenCount", "x-amzn-bedrock-cache-read-input-token-count"),
    "cacheWriteInputTokens": ("cacheWriteInputTokenCount", "x-amzn-bedrock-cache-write-input-token-count"),
}


class BedrockInvoke:
    """POST /model/{model}/invoke, one JSON body, and …/invoke-with-response-stream, JSON in Amazon's event stream."""

    name: ClassVar[str] = "bedrock_invoke"

    def matches(self, capture: Capture) -> bool:
        return capture.method == "POST" and PATH.match(path_of(capture).rstrip("/")) is not None

    def decode(self, capture: Capture) -> Exchange:
        return decode_call(capture, Invocation(capture.response_headers))


class BedrockEmbed(JsonApi):
    """Titan's embeddings, of a text, an image or both; the vectors are not kept, only how long they are."""

    name: ClassVar[str] = "bedrock_embed"
    provider: ClassVar[str] = "aws.bedrock"
    operation: ClassVar[str] = "embeddings"

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        text, image = shapes.text(call.body.get("inputText")), shapes.text(call.body.get("inputImage"))
        parts = ([Part("text", content=text)] if text else []) + ([blob("image", None, image)] if image else [])
        return Asked(input_messages=(Message("user", tuple(parts)),) if parts else ())

    def answer(self, call: Call, shapes: Shapes) -> WholeAnswer:
        return WholeAnswer(lambda body: _embedded(body, shapes))


def _embedded(body: dict[str, Any], shapes: Shapes) -> Answered:
    vector = body.get("embedding")
    told = {"gen_ai.embeddings.dimension.count": str(len(vector))} if type(vector) is list else {}
    return Answered(usage=Usage(input_tokens=shapes.count(body.get("inputTextTokenCount"))), attributes=told)


class BedrockImages(JsonApi):
    """Images by Stability's models, Titan's and Nova's."""

    name: ClassVar[str] = "bedrock_images"
    provider: ClassVar[str] = "aws.bedrock"
    operation: ClassVar[str] = "image_generation"

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        described = shapes.record(call.body.get("textToImageParams"))
        text = shapes.text(call.body.get("prompt")) or shapes.text(described.get("text"))
        return Asked(input_messages=(Message("user", (Part("text", content=text),)),) if text else ())

    def answer(self, call: Call, shapes: Shapes) -> WholeAnswer:
        return WholeAnswer(lambda body: _drawn(body, shapes))


def _drawn(body: dict[str, Any], shapes: Shapes) -> Answered:
    images = [blob("image", None, image) for image in map(shapes.text, shapes.items(body.get("images"))) if image]
    if not images:
        return Answered()
    return Answered(
        output_messages=(Message("assistant", tuple(images)),), usage=Usage(details={"output_images": len(images)})
    )


class Family(NamedTuple):
    """Requests that are made alike: by a part of the model's id, and by a member of the body."""

    model: str
    member: str
    api: ModelApi


ANTHROPIC, CONVERSE, PROMPT = AnthropicMessages(), BedrockConverse(), BedrockPrompt()
COHERE, EMBED, IMAGES, OPENAI = CohereChatV1(), BedrockEmbed(), BedrockImages(), OpenAIChat()
# The first that fits; empty fits all. Most go by the body alone, since the ARN of a profile or of an imported model
# does not tell what is behind it.
FAMILIES = (
    Family("cohere.embed", "", CohereEmbed()),
    Family("", "input_type", CohereEmbed()),
    Family("embed", "", EMBED),
    Family("stability.", "", IMAGES),
    Family("", "taskType", IMAGES),
    Family("", "max_tokens_to_sample", PROMPT),  # Claude 2
    Family("", "anthropic_version", ANTHROPIC),
    Family("amazon.nova", "messages", CONVERSE),
    Family("", "schemaVersion", CONVERSE),
    Family("", "inferenceConfig", CONVERSE),
    Family("", "messages", OPENAI),
    Family("", "message", COHERE),
    Family("", "prompt", PROMPT),
    Family("", "inputText", PROMPT),
)
# Answers by any of the members that only they have, so that they are read even where the request was not.
ANSWERS: tuple[tuple[frozenset[str], ModelApi], ...] = (
    (frozenset(("embedding", "embeddings")), EMBED),
    (frozenset(("images",)), IMAGES),
    (
        frozenset(("output", "messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata")),
        CONVERSE,
    ),
    (frozenset(("generation", "outputText", "results", "outputs", "completion", "generations")), PROMPT),
    (frozenset(("event_type", "chat_history", "response_id", "generation_id")), COHERE),
    (frozenset(("choices",)), OPENAI),
    (frozenset(("text",)), PROMPT),
    (frozenset(("type",)), ANTHROPIC),
)


class Invocation(JsonApi):
    """One invocation; the headers of its response tell the counts that its body may not."""

    name: ClassVar[str] = BedrockInvoke.name
    provider: ClassVar[str] = "aws.bedrock"
    operation: ClassVar[str] = "chat"

    def __init__(self, response_headers: Headers) -> None:
        self._response_headers = response_headers

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        path = PATH.match(call.path)
        model = path[1] if path else None
        family = next((each for each in FAMILIES if each.model in (model or "") and _has(call, each.member)), None)
        asked = family.api.asked(call, shapes) if family else Asked()
        guardrail = header(call.headers, "x-amzn-bedrock-guardrailidentifier")
        return msgspec.structs.replace(
            asked,
            model=model,
            operation=asked.operation or (family.api.operation if family else None),
            stream=path is not None and path[2] != "invoke",
            attributes={**asked.attributes, **given({"aws.bedrock.guardrail.id": guardrail})},
            claims={**asked.claims, **_metadata(call, shapes)},
        )

    def answer(self, call: Call, shapes: Shapes) -> InvokedAnswer:
        return InvokedAnswer(call, self._response_headers, shapes)


def _has(call: Call, member: str) -> bool:
    return not member or member in call.body


def _metadata(call: Call, shapes: Shapes) -> dict[str, str]:
    """A header says in JSON what Converse says in its body."""
    told = header(call.headers, "x-amzn-bedrock-request-metadata")
    try:
        return metadata_claims(loads(told.encode()), shapes) if told else {}
    except ValueError:
        shapes.odd(told)
        return {}


class InvokedAnswer:
    """The model's own answer, taken out of Bedrock's chunks where it is streamed."""

    def __init__(self, call: Call, headers: Headers, shapes: Shapes) -> None:
        self._call = call
        self._headers = headers
        self._shapes = shapes
        self._answer: Answer | None = None  # None until an event tells whose it is
        self._metrics: dict[str, Any] | None = None
        self._intervened = False
        self._failure: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """The model says so, or Bedrock does by summing up."""
        return self._metrics is not None or (self._answer is not None and self._answer.ended)

    def add(self, event: dict[str, Any]) -> bool:
        if "chunk" in event:
            event = self._unpacked(self._shapes.record(event["chunk"]))
        if METRICS in event:
            self._metrics = self._shapes.record(event[METRICS])
        self._intervened = self._intervened or event.get(INTERVENED) == "INTERVENED"
        if self._answer is None and (api := _answer_api(event)):
            self._answer = api.answer(self._call, self._shapes)
        return self._answer is not None and self._answer.add(_with_reasons(event, self._shapes))

    def _unpacked(self, chunk: dict[str, Any]) -> dict[str, Any]:
        """The model's event, which is JSON in base64; an error among them is the answer's."""
        try:
            value, sound = loads_or_salvage(binascii.a2b_base64((self._shapes.text(chunk.get("bytes")) or "").encode()))
        except ValueError:
            value, sound = None, False
        self._shapes.note(None if sound else "event_not_json")
        event = self._shapes.record(value)
        if self._failure is None and (event.get("type") == "error" or event.get("error")):
            self._failure = event
        return event

    def answered(self) -> Answered:
        answered = self._answer.answered() if self._answer else Answered()
        messages = answered.output_messages
        if self._intervened:
            messages = tuple([msgspec.structs.replace(each, finish_reason="content_filter") for each in messages])
        return msgspec.structs.replace(
            answered,
            output_messages=messages,
            usage=_completed(answered.usage, token_usage(self._counts(), self._shapes)),
            failure=self._failure or answered.failure,
        )

    def _counts(self) -> dict[str, Json]:
        """As Bedrock counted, in Converse's words."""
        if self._metrics is not None:
            return given({name: self._metrics.get(metric) for name, (metric, _) in COUNTS.items()})
        told = {name: header(self._headers, header_name) for name, (_, header_name) in COUNTS.items()}
        return {name: int(count) for name, count in told.items() if count and count.isdecimal() and len(count) < 16}


def _answer_api(event: dict[str, Any]) -> ModelApi | None:
    """Whose answer this is; DeepSeek R1 alone has choices of nothing but text."""
    choices = event.get("choices")
    if type(choices) is list and any(type(choice) is dict and "text" in choice for choice in choices):
        return PROMPT
    return next((api for members, api in ANSWERS if not members.isdisjoint(event)), None)


def _with_reasons(event: dict[str, Any], shapes: Shapes) -> dict[str, Any]:
    """Mistral's choices call their reason to finish a reason to stop."""
    if "choices" not in event:
        return event
    choices = [_with_reason(choice) for choice in shapes.records(event["choices"])]
    return {**event, "choices": choices}


def _with_reason(choice: dict[str, Any]) -> dict[str, Any]:
    reason = choice.get("stop_reason")
    return choice if choice.get("finish_reason") or not reason else {**choice, "finish_reason": reason}


def _completed(usage: Usage, bedrock: Usage) -> Usage:
    """What the body counted, which knows more of it; where it did not count, what Bedrock did."""
    missing: dict[str, Any] = {}
    if usage.input_tokens is None:
        names = ("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens")
        missing = {name: getattr(bedrock, name) for name in names}
    if usage.output_tokens is None:
        missing["output_tokens"] = bedrock.output_tokens
    return msgspec.structs.replace(usage, **missing)
