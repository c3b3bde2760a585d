"""The openai package for Python: `openai_python.py BASE_URL sync|async`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import openai
from telling import PARAMETERS, Job, Person, Seen, each, serve, settled

TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
FLAT_TOOLS: Any = [{"type": "function", "name": "weather", "parameters": PARAMETERS}]
MIB = 2**20


def summarise(seen: Seen, completion: Any) -> None:
    choice = completion.choices[0]
    seen.result, seen.text, seen.finish = completion.model_dump(), choice.message.content or "", choice.finish_reason
    for position, call in enumerate(choice.message.tool_calls or []):
        seen.call(position, call.function.name, call.function.arguments)
    if completion.usage:
        seen.count(completion.usage.prompt_tokens, completion.usage.completion_tokens)


def take_chunk(seen: Seen, chunk: Any) -> None:
    seen.add(chunk)
    if chunk.usage:
        seen.count(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
    for choice in chunk.choices:
        seen.text += choice.delta.content or ""
        seen.finish = choice.finish_reason or seen.finish
        for call in choice.delta.tool_calls or []:
            seen.call(call.index, call.function.name, call.function.arguments)


def take_event(seen: Seen, event: Any) -> None:
    seen.add(event)
    if event.type == "response.output_text.delta":
        seen.text += event.delta
    if event.type == "response.completed":
        seen.text = ""
        summarise_response(seen, event.response)


def summarise_response(seen: Seen, response: Any) -> None:
    seen.result, seen.text, seen.finish = response.model_dump(warnings=False), response.output_text, response.status
    calls = [item for item in response.output if item.type == "function_call"]
    for position, call in enumerate(calls):
        seen.call(position, call.name, call.arguments)
    if response.usage:
        seen.count(response.usage.input_tokens, response.usage.output_tokens)


class Apis:
    """Every API of the client, synchronous or not."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def chat(self, job: Job, seen: Seen) -> None:
        ask: dict[str, Any] = {"model": job.model, "messages": job.messages, "extra_headers": job.headers}
        if job.with_tools:
            ask["tools"] = TOOLS
        if job.scenario == "structured":
            completion = await settled(self.client.chat.completions.parse(**ask, response_format=Person))
            summarise(seen, completion)
        elif job.streamed:
            await self.chat_stream(job, seen, ask | {"stream": True, "stream_options": {"include_usage": True}})
        else:
            summarise(seen, await settled(self.client.chat.completions.create(**ask)))

    async def chat_stream(self, job: Job, seen: Seen, ask: dict[str, Any]) -> None:
        stream = await settled(self.client.chat.completions.create(**ask))
        async for chunk in each(stream):
            take_chunk(seen, chunk)
            if job.enough(seen):
                break
        await settled(stream.close())

    async def completions(self, job: Job, seen: Seen) -> None:
        ask = {"model": job.model, "prompt": job.prompt, "max_tokens": 16, "extra_headers": job.headers}
        if not job.streamed:
            completion = await settled(self.client.completions.create(**ask))
            seen.result, seen.text = completion.model_dump(), completion.choices[0].text
            seen.count(completion.usage.prompt_tokens, completion.usage.completion_tokens)
            return
        options = {"stream": True, "stream_options": {"include_usage": True}}
        async for chunk in each(await settled(self.client.completions.create(**ask, **options))):
            seen.add(chunk)
            seen.text += "".join(choice.text for choice in chunk.choices)
            if chunk.usage:
                seen.count(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)

    async def responses(self, job: Job, seen: Seen) -> None:
        ask: dict[str, Any] = {"model": job.model, "input": job.prompt, "extra_headers": job.headers}
        if job.with_tools:
            ask["tools"] = FLAT_TOOLS
        if job.scenario == "structured":
            summarise_response(seen, await settled(self.client.responses.parse(**ask, text_format=Person)))
        elif job.streamed:
            stream = await settled(self.client.responses.create(**ask, stream=True))
            async for event in each(stream):
                take_event(seen, event)
                if job.enough(seen):
                    break
            await settled(stream.close())
        else:
            summarise_response(seen, await settled(self.client.responses.create(**ask)))

    async def embeddings(self, job: Job, seen: Seen) -> None:
        ask = {"model": job.model, "input": [job.prompt, "and another"], "extra_headers": job.headers}
        answer = await settled(self.client.embeddings.create(**ask))
        seen.result = answer.model_dump()
        seen.count(answer.usage.prompt_tokens, 0)

    async def files(self, job: Job, seen: Seen) -> None:
        content = b'{"line": 1}\n' * (MIB // 8)
        ask = {"file": ("lines.jsonl", content), "purpose": "batch", "extra_headers": job.headers}
        seen.result = (await settled(self.client.files.create(**ask))).model_dump()

    async def realtime(self, job: Job, seen: Seen) -> None:
        async with self.client.realtime.connect(model=job.model, extra_headers=job.headers) as connection:
            content = [{"type": "input_text", "text": job.prompt}]
            await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
            await connection.response.create()
            async for event in connection:
                seen.add(event)
                if event.type in ("response.output_text.delta", "response.text.delta"):
                    seen.text += event.delta
                if event.type == "response.done" and (usage := event.response.usage):
                    seen.count(usage.input_tokens, usage.output_tokens)
                if event.type in ("response.done", "error"):
                    break

    async def responses_socket(self, job: Job, seen: Seen) -> None:
        async with self.client.responses.connect(extra_headers=job.headers) as connection:
            await connection.response.create(model=job.model, input=job.prompt)
            async for event in connection:
                take_event(seen, event)
                if event.type in ("response.completed", "response.failed", "error"):
                    break


def main(base: str, mode: str) -> None:
    kind = openai.AsyncOpenAI if mode == "async" else openai.OpenAI
    azure_kind = openai.AsyncAzureOpenAI if mode == "async" else openai.AzureOpenAI
    apis = Apis(kind(base_url=f"{base}/v1", api_key="k"))
    azure = Apis(azure_kind(azure_endpoint=base, api_key="k", api_version="2024-10-21"))
    names = ("chat", "completions", "responses", "embeddings", "files", "realtime", "responses_socket")
    calls = {name: getattr(apis, name) for name in names}
    asyncio.run(serve(calls | {"azure": azure.chat}))


if __name__ == "__main__":
    main(*sys.argv[1:])
