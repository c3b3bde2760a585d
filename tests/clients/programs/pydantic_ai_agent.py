"""pydantic-ai agents, which answer a tool call and go on: `pydantic_ai_agent.py BASE_URL`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from pydantic_ai import Agent, NativeOutput, Tool
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from telling import Job, Person, Seen, plain, serve


async def weather(city: str) -> str:
    return f"Sunny in {city}"


def summarise(seen: Seen, run: Any) -> None:
    seen.result = plain(run.all_messages())
    seen.text = run.output if isinstance(run.output, str) else run.output.model_dump_json()
    calls = [part for message in run.all_messages() for part in message.parts if part.part_kind == "tool-call"]
    seen.tool_calls = [[call.tool_name, call.args] for call in calls]
    usage = run.usage
    seen.count(usage.input_tokens, usage.output_tokens)


async def run_agent(job: Job, seen: Seen, model: Any) -> None:
    agent: Any = Agent(
        model,
        tools=[Tool(weather, sequential=True)] if job.with_tools else [],
        output_type=NativeOutput(Person) if job.scenario == "structured" else str,
        model_settings={"extra_headers": job.headers, "max_tokens": 64},
    )
    if not job.streamed:
        return summarise(seen, await agent.run(job.prompt))
    async with agent.run_stream_events(job.prompt) as events:
        async for event in events:
            if event.event_kind == "agent_run_result":
                summarise(seen, event.result)
                break
            seen.add(plain(event))
            if job.enough(seen):
                break


def main(base: str) -> None:
    openai = OpenAIProvider(base_url=f"{base}/v1", api_key="k")
    anthropic = AnthropicProvider(base_url=base, api_key="k")

    async def chat(job: Job, seen: Seen) -> None:
        await run_agent(job, seen, OpenAIChatModel(job.model, provider=openai))

    async def responses(job: Job, seen: Seen) -> None:
        await run_agent(job, seen, OpenAIResponsesModel(job.model, provider=openai))

    async def messages(job: Job, seen: Seen) -> None:
        await run_agent(job, seen, AnthropicModel(job.model, provider=anthropic))

    asyncio.run(serve({"chat": chat, "responses": responses, "messages": messages}))


if __name__ == "__main__":
    main(*sys.argv[1:])
