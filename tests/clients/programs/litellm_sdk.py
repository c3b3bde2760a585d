"""The litellm SDK, which speaks to each endpoint in its own API: `litellm_sdk.py BASE_URL`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise it asks the network for prices

import litellm
from telling import PARAMETERS, Job, Person, Seen, serve

TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]


def summarise(seen: Seen, completion: Any) -> None:
    choice = completion.choices[0]
    seen.result, seen.text, seen.finish = completion.model_dump(), choice.message.content or "", choice.finish_reason
    for position, call in enumerate(choice.message.tool_calls or []):
        seen.call(position, call.function.name, call.function.arguments)
    seen.count(completion.usage.prompt_tokens, completion.usage.completion_tokens)


def take_chunk(seen: Seen, chunk: Any) -> None:
    seen.add(chunk)
    if usage := getattr(chunk, "usage", None):
        seen.count(usage.prompt_tokens, usage.completion_tokens)
    for choice in chunk.choices:
        seen.text += choice.delta.content or ""
        seen.finish = choice.finish_reason or seen.finish
        for call in choice.delta.tool_calls or []:
            seen.call(call.index, call.function.name, call.function.arguments)


class Apis:
    """Each API by its name here, the provider that litellm calls it by, and where it is."""

    def __init__(self, base: str) -> None:
        self.base = base

    def ask(self, job: Job, provider: str, path: str) -> dict[str, Any]:
        ask = {"model": f"{provider}/{job.model}", "api_base": self.base + path, "api_key": "k", "max_retries": 2}
        return ask | {"extra_headers": job.headers, "timeout": 60}

    async def chat(self, job: Job, seen: Seen) -> None:
        await self.complete(job, seen, self.ask(job, "openai", "/v1"))

    async def messages(self, job: Job, seen: Seen) -> None:
        await self.complete(job, seen, self.ask(job, "anthropic", "") | {"max_tokens": 64})

    async def complete(self, job: Job, seen: Seen, ask: dict[str, Any]) -> None:
        ask["messages"] = job.messages
        if job.with_tools:
            ask["tools"] = TOOLS
        if job.scenario == "structured":
            ask["response_format"] = Person
        if not job.streamed:
            return summarise(seen, await litellm.acompletion(**ask))
        stream = await litellm.acompletion(**ask, stream=True, stream_options={"include_usage": True})
        async for chunk in stream:
            take_chunk(seen, chunk)
            if job.enough(seen):
                break
        await stream.aclose()

    async def responses(self, job: Job, seen: Seen) -> None:
        ask = self.ask(job, "openai", "/v1") | {"input": job.prompt}
        if not job.streamed:
            answer = await litellm.aresponses(**ask)
            seen.result, seen.finish = answer.model_dump(warnings=False), answer.status
            seen.text = "".join(part.text for item in answer.output for part in getattr(item, "content", []))
            return seen.count(answer.usage.input_tokens, answer.usage.output_tokens)
        async for event in await litellm.aresponses(**ask, stream=True):
            seen.add(event)
            if event.type == "response.output_text.delta":
                seen.text += event.delta
            if event.type == "response.completed":
                seen.count(event.response.usage.input_tokens, event.response.usage.output_tokens)

    async def embeddings(self, job: Job, seen: Seen) -> None:
        answer = await litellm.aembedding(**self.ask(job, "openai", "/v1"), input=[job.prompt])
        seen.result = answer.model_dump()
        seen.count(answer.usage.prompt_tokens, 0)


def main(base: str) -> None:
    litellm.suppress_debug_info = True
    apis = Apis(base)
    asyncio.run(serve({name: getattr(apis, name) for name in ("chat", "messages", "responses", "embeddings")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
