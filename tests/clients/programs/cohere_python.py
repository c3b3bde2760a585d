"""The cohere package for Python, version 2 of its API: `cohere_python.py BASE_URL`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import cohere
from telling import PARAMETERS, Job, Seen, serve

TOOL = {"type": "function", "function": {"name": "weather", "description": "", "parameters": PARAMETERS}}


def take_event(seen: Seen, event: Any) -> None:
    seen.add(event)
    if event.type == "content-delta":
        seen.text += event.delta.message.content.text
    if event.type == "tool-call-start":
        call = event.delta.message.tool_calls
        seen.tool_calls.append([call.function.name, call.function.arguments or ""])
    if event.type == "tool-call-delta":
        seen.tool_calls[-1][1] += event.delta.message.tool_calls.function.arguments
    if event.type == "message-end":
        seen.finish = event.delta.finish_reason
        if usage := event.delta.usage:
            seen.count(int(usage.tokens.input_tokens), int(usage.tokens.output_tokens))


def summarise(seen: Seen, answer: Any) -> None:
    seen.result, seen.finish = answer.model_dump(mode="json"), answer.finish_reason
    seen.text = "".join(part.text for part in answer.message.content or [])
    seen.tool_calls = [[call.function.name, call.function.arguments] for call in answer.message.tool_calls or []]
    seen.count(int(answer.usage.tokens.input_tokens), int(answer.usage.tokens.output_tokens))


class Apis:
    """Chat, embed and rerank."""

    def __init__(self, base: str) -> None:
        self.client = cohere.AsyncClientV2(api_key="k", base_url=base)

    async def chat(self, job: Job, seen: Seen) -> None:
        ask: dict[str, Any] = {"model": job.model, "messages": job.messages}
        ask["request_options"] = {"additional_headers": job.headers, "max_retries": 2}
        if job.with_tools:
            ask["tools"] = [TOOL]
        if not job.streamed:
            return summarise(seen, await self.client.chat(**ask))
        stream = self.client.chat_stream(**ask)
        async for event in stream:
            take_event(seen, event)
            if job.enough(seen):
                break
        await stream.aclose()

    async def embeddings(self, job: Job, seen: Seen) -> None:
        options = {"additional_headers": job.headers}
        answer = await self.client.embed(
            model=job.model,
            texts=[job.prompt],
            input_type="search_query",
            embedding_types=["float"],
            request_options=options,
        )
        seen.result = answer.model_dump(mode="json")

    async def rerank(self, job: Job, seen: Seen) -> None:
        options = {"additional_headers": job.headers}
        answer = await self.client.rerank(
            model=job.model, query=job.prompt, documents=["one", "two"], request_options=options
        )
        seen.result = answer.model_dump(mode="json")


def main(base: str) -> None:
    apis = Apis(base)
    asyncio.run(serve({f"cohere_{name}": getattr(apis, name) for name in ("chat", "embeddings", "rerank")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
