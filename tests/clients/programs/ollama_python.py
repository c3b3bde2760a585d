"""The ollama package for Python: `ollama_python.py BASE_URL sync|async`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import ollama
from telling import PARAMETERS, Job, Person, Seen, each, serve, settled

TOOLS: Any = [{"type": "function", "function": {"name": "weather", "description": "", "parameters": PARAMETERS}}]


def take(seen: Seen, answer: Any) -> None:
    """One answer, or one line of a streamed one."""
    seen.finish = answer.done_reason or seen.finish
    if answer.done:
        seen.count(answer.prompt_eval_count, answer.eval_count)


def take_message(seen: Seen, answer: Any) -> None:
    take(seen, answer)
    seen.text += answer.message.content or ""
    seen.tool_calls += [[call.function.name, dict(call.function.arguments)] for call in answer.message.tool_calls or []]


def take_response(seen: Seen, answer: Any) -> None:
    take(seen, answer)
    seen.text += answer.response


class Apis:
    """Every API of the client, synchronous or not."""

    def __init__(self, base: str, mode: str) -> None:
        self.base, self.kind = base, ollama.AsyncClient if mode == "async" else ollama.Client

    def client(self, job: Job) -> Any:
        return self.kind(host=self.base, headers=job.headers, timeout=60)

    async def chat(self, job: Job, seen: Seen) -> None:
        ask: dict[str, Any] = {"model": job.model, "messages": job.messages}
        if job.with_tools:
            ask["tools"] = TOOLS
        if job.scenario == "structured":
            ask["format"] = Person.model_json_schema()
        await self.read(job, seen, self.client(job).chat(**ask, stream=job.streamed), take_message)

    async def generate(self, job: Job, seen: Seen) -> None:
        answer = self.client(job).generate(model=job.model, prompt=job.prompt, stream=job.streamed)
        await self.read(job, seen, answer, take_response)

    async def read(self, job: Job, seen: Seen, call: Any, take_one: Any) -> None:
        answer = await settled(call)
        if not job.streamed:
            seen.result = answer.model_dump()
            return take_one(seen, answer)
        async for line in each(answer):
            seen.add(line)
            take_one(seen, line)
            if job.enough(seen):
                break
        await settled(answer.aclose() if hasattr(answer, "aclose") else answer.close())

    async def embeddings(self, job: Job, seen: Seen) -> None:
        answer = await settled(self.client(job).embed(model=job.model, input=[job.prompt, "and another"]))
        seen.result = answer.model_dump()


def main(base: str, mode: str) -> None:
    apis = Apis(base, mode)
    asyncio.run(serve({f"ollama_{name}": getattr(apis, name) for name in ("chat", "generate", "embeddings")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
