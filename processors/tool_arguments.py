"""Are the tools called ones that were offered, with arguments that parse and satisfy their schemas?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from pipeline.records import Evaluation, Exchange, Json, Part, tool_calls_of
from processors.json_schema import UnusableSchema, violation
from processors.options import check_share

SCHEMA_SKIPPED = "schema not usable, not checked"
Offered: TypeAlias = Mapping[str, Json]  # name of the tool → schema of its arguments, None when it has none


@dataclass(frozen=True, slots=True)
class ToolArguments:
    """Checks every tool call against the tools the request offered."""

    threshold: float = 1.0  # fails when a smaller share of the calls is valid

    requires: ClassVar[tuple[str, ...]] = ("tool_calls", "whole_response")
    scale: ClassVar[str] = "share of calls that are right"

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)

    def process(self, exchange: Exchange) -> Sequence[Evaluation]:
        calls = tool_calls_of(exchange.output_messages)
        if not calls:
            return ()
        offered = _offered(exchange.tool_definitions)
        problems = [_problem(call, offered) for call in calls]
        share = sum(problem in (None, SCHEMA_SKIPPED) for problem in problems) / len(calls)
        label = "fail" if share < self.threshold else "pass"
        return (Evaluation("tool_arguments", share, label, _explanation(problems)),)


def _offered(definitions: tuple[Json, ...]) -> Offered:
    """A provider's own tools may come without a name; their type stands for it."""
    tools = [definition for definition in definitions if isinstance(definition, Mapping)]
    return {str(tool.get("name") or tool.get("type")): tool.get("parameters") for tool in tools}


def _problem(call: Part, offered: Offered) -> str | None:
    """Tools may also be defined where no request shows them (stored prompts), so with none offered any is known."""
    if offered and call.name not in offered:
        return "unknown tool"
    arguments = {} if call.arguments in (None, "") else call.arguments
    if isinstance(arguments, str):
        return "arguments are not JSON"
    schema = offered.get(call.name or "")
    try:
        return None if schema is None else violation(schema, arguments)
    except UnusableSchema:
        return SCHEMA_SKIPPED


def _explanation(problems: list[str | None]) -> str | None:
    """The first real problem, else that a schema could not be used."""
    said = [(number, problem) for number, problem in enumerate(problems, 1) if problem]
    said.sort(key=lambda item: item[1] == SCHEMA_SKIPPED)
    return f"call {said[0][0]}: {said[0][1]}" if said else None
