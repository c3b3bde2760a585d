"""Completions of a text: OpenAI's of old, and llama.cpp's own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from pipeline.records import Capture, Exchange, Json, Message, Part, Usage
from wire.http import is_versioned, may_have, path_of
from wire.media import blob
from wire.openai_chat import FINISH_REASONS, parameters_of
from wire.openai_dialect import (
    array_of,
    claims_of,
    model_of,
    prompts_of,
    timed,
    token_usage,
    usage_attributes,
    with_blocked,
)
from wire.reading import Answered, Asked, Call, JsonApi, decode_call, finish_reason, given
from wire.shapes import Shapes, first_given

PATH = re.compile(r"(?<!/chat)(?<!/agents)/completions?$|/infill$")
STOP_TYPES = {"eos": "stop", "word": "stop", "limit": "length", "none": ""}  # llama.cpp's


class OpenAICompletions(JsonApi):
    """POST …/completions, one JSON body or server-sent events; llama.cpp's …/completion and …/infill."""

    name: ClassVar[str] = "openai_completions"
    provider: ClassVar[str] = "openai"
    operation: ClassVar[str] = "text_completion"

    def matches(self, capture: Capture) -> bool:
        if capture.method != "POST" or PATH.search(path_of(capture).rstrip("/")) is None:
            return False
        return is_versioned(capture) or may_have(capture, "prompt") or may_have(capture, "input_prefix")

    def decode(self, capture: Capture) -> Exchange:
        return with_blocked(decode_call(capture, self), capture)

    def asked(self, call: Call, shapes: Shapes) -> Asked:
        request = call.body
        return Asked(
            model=model_of(call, shapes),
            input_messages=_input_messages(request, shapes),
            parameters=parameters_of({"max_tokens": request.get("n_predict")} | request, shapes),
            claims=claims_of(request, shapes),
        )

    def answer(self, call: Call, shapes: Shapes) -> CompletionAnswer:
        each, prompts = shapes.count(call.body.get("n")) or 1, len(prompts_of(call.body.get("prompt"))) or 1
        return CompletionAnswer(expected=each * prompts, shapes=shapes)

    def body_of(self, content_type: str, data: bytes, shapes: Shapes) -> dict[str, Any] | None:
        """llama.cpp answers several prompts with an array."""
        return array_of("results", data)


def _input_messages(request: dict[str, Any], shapes: Shapes) -> tuple[Message, ...]:
    """Every prompt is a message; what is to follow the text, where the request says it, is a part after it."""
    after = shapes.text(first_given(request.get("suffix"), request.get("input_suffix")))
    suffix = (Part("text", content=after),) if after else ()
    prompts = prompts_of(first_given(request.get("input_prefix"), request.get("prompt")))
    return tuple([Message("user", _prompt_parts(prompt, shapes) + suffix) for prompt in prompts])


def _prompt_parts(prompt: Json, shapes: Shapes) -> tuple[Part, ...]:
    """A prompt as text; in tokens, of which nothing can be told; or llama.cpp's text with media."""
    if type(prompt) is list:
        return (Part("generic", name="tokens"),)
    if type(prompt) is not dict:
        return (Part("text", content=shapes.text(prompt)),)
    media = [text for text in map(shapes.text, shapes.items(prompt.get("multimodal_data"))) if text]
    text = Part("text", content=shapes.text(prompt.get("prompt_string")))
    return (text, *[blob("image", None, encoded) for encoded in media])


class CompletionAnswer:
    """The texts as they come together, from chunks or one whole completion; with the prompt, if that is echoed."""

    def __init__(self, expected: int, shapes: Shapes) -> None:
        self._expected = expected  # texts asked for
        self._shapes = shapes
        self._texts: dict[int, list[str]] = {}
        self._reasons: dict[int, str | None] = {}
        self._heard: dict[str, Any] = {}  # the last that was said of what the texts share
        self._native: dict[int, dict[str, Any]] = {}  # llama.cpp's last words, which count

    @property
    def ended(self) -> bool:
        """Every text has said why it ended."""
        return len(self._texts) >= self._expected and all(self._reasons.get(index) for index in self._texts)

    def add(self, event: dict[str, Any]) -> bool:
        """A `text_completion`, a chunk of one, or what llama.cpp says instead."""
        self._heard.update(given(event))
        if "content" in event:
            return self._add_native(event, 0)
        choices, natives = event.get("choices"), event.get("results")
        came = [self._add_choice(choice, n) for n, choice in enumerate(self._shapes.records(choices))]
        came += [self._add_native(native, n) for n, native in enumerate(self._shapes.records(natives))]
        return any(came)

    def _add_choice(self, choice: dict[str, Any], position: int) -> bool:
        """Mistral's have a message or a delta, as in a chat."""
        index = self._index(choice, position)
        message = self._shapes.record(first_given(choice.get("delta"), choice.get("message")))
        reason = finish_reason(choice.get("finish_reason"), FINISH_REASONS, self._shapes)
        return self._take(index, first_given(choice.get("text"), message.get("content")), reason)

    def _add_native(self, event: dict[str, Any], position: int) -> bool:
        index = self._index(event, position)
        self._native[index] = event
        reason = finish_reason(event.get("stop_type"), STOP_TYPES, self._shapes)
        if event.get("stop") is True and not reason:
            reason = "length" if event.get("stopped_limit") is True else "stop"
        return self._take(index, event.get("content"), reason)

    def _index(self, choice: dict[str, Any], position: int) -> int:
        index = choice.get("index")
        if type(index) is int:
            return index
        self._shapes.odd(index)
        return position

    def _take(self, index: int, text: Json, reason: str | None) -> bool:
        piece = self._shapes.text(text)
        self._texts.setdefault(index, []).append(piece or "")
        self._reasons[index] = reason or self._reasons.get(index)
        return bool(piece)

    def answered(self) -> Answered:
        text, heard = self._shapes.text, self._heard
        usage = self._shapes.record(heard.get("usage"))
        return Answered(
            response_id=text(heard.get("id")),
            response_model=text(heard.get("model")),
            output_messages=tuple([self._message(index) for index in sorted(self._texts)]),
            usage=timed(self._usage(usage), self._shapes.record(heard.get("timings")), self._shapes),
            attributes=given(
                {
                    "openai.response.system_fingerprint": text(heard.get("system_fingerprint")),
                    **usage_attributes(usage),
                }
            ),
        )

    def _usage(self, usage: dict[str, Any]) -> Usage:
        """As OpenAI reports it, or the sum of what llama.cpp says of each text: it evaluates all it reads."""
        if usage or not self._native:
            return token_usage(usage, ("prompt", "completion"), self._shapes)
        timings = [self._shapes.record(event.get("timings")) for event in self._native.values()]
        return Usage(
            input_tokens=self._sum("tokens_evaluated", self._native.values()),
            output_tokens=self._sum("tokens_predicted", self._native.values()),
            cache_read_input_tokens=self._sum("cache_n", timings),
        )

    def _sum(self, name: str, told: Iterable[dict[str, Any]]) -> int | None:
        """Of all texts, unless one is silent."""
        counts = [each.get(name) for each in told]
        return None if None in counts else self._shapes.total(counts)

    def _message(self, index: int) -> Message:
        text = "".join(self._texts[index])
        parts = (Part("text", content=text),) if text else ()
        return Message("assistant", parts, finish_reason=self._reasons[index])
