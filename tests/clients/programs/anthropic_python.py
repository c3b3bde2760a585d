"""The anthropic package for Python, with its own API and on Bedrock: `anthropic_python.py BASE_URL sync|async`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import anthropic
from telling import PARAMETERS, Job, Person, Seen, each, serve, settled

TOOLS: Any = [{"name": "weather", "input_schema": PARAMETERS}]


def summarise(seen: Seen, message: Any) -> None:
    seen.result, seen.finish, seen.text, seen.tool_calls = message.model_dump(), message.stop_reason, "", []
    for block in message.content:
        if block.type == "text":
            seen.text += block.text
        if block.type == "tool_use":
            seen.tool_calls.append([block.name, block.input])
    seen.count(message.usage.input_tokens, message.usage.output_tokens)


class Messages:
    """The messages API, synchronous or not, of Anthropic's own endpoint or Bedrock's."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def messages(self, job: Job, seen: Seen) -> None:
        ask: dict[str, Any] = {"model": job.model, "max_tokens": 64, "messages": job.messages}
        ask["extra_headers"] = job.headers
        if job.with_tools:
            ask["tools"] = TOOLS
        if job.scenario == "structured":
            summarise(seen, await settled(self.client.messages.parse(**ask, output_format=Person)))
        elif job.streamed:
            await self.stream(job, seen, ask)
        else:
            summarise(seen, await settled(self.client.messages.create(**ask)))

    async def stream(self, job: Job, seen: Seen, ask: dict[str, Any]) -> None:
        manager = self.client.messages.stream(**ask)
        stream = await manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__()
        try:
            async for event in each(stream):
                seen.add(event)
                if job.enough(seen):
                    return
            summarise(seen, await settled(stream.get_final_message()))
        finally:
            await settled(stream.close())


def main(base: str, mode: str) -> None:
    kind = anthropic.AsyncAnthropic if mode == "async" else anthropic.Anthropic
    bedrock_kind = anthropic.AsyncAnthropicBedrock if mode == "async" else anthropic.AnthropicBedrock
    bedrock = bedrock_kind(base_url=base, aws_access_key="k", aws_secret_key="s", aws_region="eu-north-1")
    messages = Messages(kind(base_url=base, api_key="k"))
    asyncio.run(serve({"messages": messages.messages, "invoke": Messages(bedrock).messages}))


if __name__ == "__main__":
    main(*sys.argv[1:])
