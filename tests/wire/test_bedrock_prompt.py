"""Prompts and what goes on from them, in the words of each vendor."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.records import Message, Part, Usage
from wire.bedrock_prompt import BedrockPrompt
from wire.reading import Answered, Asked, Call
from wire.shapes import Shapes


def asked(**request: Any) -> Asked:
    return BedrockPrompt().asked(Call(request, "/model/m/invoke", {}, (), "POST"), Shapes())


def answered(*events: dict[str, Any]) -> Answered:
    answer = BedrockPrompt().answer(Call({}, "/model/m/invoke", {}, (), "POST"), Shapes())
    for event in events:
        answer.add(event)
    return answer.answered()


@pytest.mark.parametrize(
    ("request_body", "parameters"),
    [
        ({"max_gen_len": 64, "top_p": 0.9, "temperature": 0.5}, {"temperature": 0.5, "top_p": 0.9, "max_tokens": 64}),
        (
            {"max_tokens": 9, "top_k": 50, "stop": ["</s>"]},
            {"top_k": 50, "max_tokens": 9, "stop_sequences": ["</s>"]},
        ),
        (
            {"textGenerationConfig": {"maxTokenCount": 3, "topP": 1, "stopSequences": ["User:"]}},
            {"top_p": 1, "max_tokens": 3, "stop_sequences": ["User:"]},
        ),
        ({"max_tokens_to_sample": 8, "stop_sequences": ["Human:"]}, {"max_tokens": 8, "stop_sequences": ["Human:"]}),
        ({"p": 0.5, "k": 4, "stop": "x"}, {"top_p": 0.5, "top_k": 4, "stop_sequences": ["x"]}),
        ({}, {}),
    ],
)
def test_parameters_by_any_of_their_names(request_body: Any, parameters: Any) -> None:
    assert asked(**request_body).parameters == parameters


@pytest.mark.parametrize("member", ["prompt", "inputText"])
def test_prompt_is_the_user_s(member: str) -> None:
    assert asked(**{member: "Go"}).input_messages == (Message("user", (Part("text", content="Go"),)),)
    assert asked(**{member: ""}).input_messages == ()


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("FINISH", "stop"),
        ("FINISHED", "stop"),
        ("COMPLETE", "stop"),
        ("stop", "stop"),
        ("stop_sequence", "stop"),
        ("LENGTH", "length"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("CONTENT_FILTERED", "content_filter"),
        ("ERROR_TOXIC", "content_filter"),
        ("ERROR", "error"),
        ("", None),
    ],
)
@pytest.mark.parametrize("member", ["stop_reason", "completionReason", "finish_reason"])
def test_finish_reason(member: str, reason: str, word: str | None) -> None:
    assert answered({"text": "a", member: reason}).output_messages[0].finish_reason == word


def test_every_result_is_a_message_and_its_tokens_are_counted() -> None:
    results = [{"outputText": "a", "tokenCount": 2}, {"outputText": "b", "tokenCount": 3}]
    read = answered({"inputTextTokenCount": 5, "results": results})
    assert [message.parts[0].content for message in read.output_messages] == ["a", "b"]
    assert read.usage == Usage(input_tokens=5, output_tokens=5)


def test_counts_are_the_last_that_were_given() -> None:
    first = {"generation": "a", "prompt_token_count": 9, "generation_token_count": 1}
    last = {"generation": "b", "prompt_token_count": None, "generation_token_count": 2, "stop_reason": "stop"}
    assert answered(first, last).usage == Usage(input_tokens=9, output_tokens=2)


def test_stream_of_lists_is_one_text_a_position() -> None:
    pieces = [{"outputs": [{"text": "a", "stop_reason": None}]}, {"outputs": [{"text": "b", "stop_reason": "stop"}]}]
    assert answered(*pieces).output_messages == (
        Message("assistant", (Part("text", content="ab"),), finish_reason="stop"),
    )


def test_list_that_says_nothing_is_no_message() -> None:
    assert answered({"outputs": []}).output_messages == ()
    assert answered().output_messages == ()


def test_more_results_than_before_are_more_messages() -> None:
    read = answered({"outputs": [{"text": "a"}]}, {"outputs": [{"text": "b"}, {"text": "c"}]})
    assert [message.parts[0].content for message in read.output_messages] == ["ab", "c"]
