"""What an evaluator may ask of an exchange before it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.records import Exchange, instructions_of, question_of, text_of, tool_calls_of

INPUTS: Mapping[str, Callable[[Exchange], bool]] = {
    "genai": lambda exchange: exchange.operation is not None,
    "response": lambda exchange: bool(exchange.output_messages),
    "response_text": lambda exchange: exchange.content != "off" and bool(text_of(exchange.output_messages)),
    "question": lambda exchange: exchange.content != "off" and bool(question_of(exchange)),
    "content": lambda exchange: exchange.content != "off" and exchange.operation is not None,
    "whole_response": lambda exchange: exchange.decode_error != "response_cut",
    "instructions": lambda exchange: exchange.content != "off" and bool(instructions_of(exchange)),
    "context": lambda exchange: exchange.content != "off" and bool(exchange.context),
    "ground_truth": lambda exchange: exchange.content != "off" and bool(exchange.ground_truth),
    "times": lambda exchange: exchange.timing.ended_at > 0,
    "tool_calls": lambda exchange: exchange.content != "off" and bool(tool_calls_of(exchange.output_messages)),
    "tool_definitions": lambda exchange: exchange.content != "off" and bool(exchange.tool_definitions),
    "success": lambda exchange: exchange.error_type is None,
}


def missing_input(requires: tuple[str, ...], exchange: Exchange) -> str | None:
    """The first thing required that the exchange lacks."""
    return next((name for name in requires if not INPUTS[name](exchange)), None)
