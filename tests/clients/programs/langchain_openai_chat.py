"""langchain-openai: `langchain_openai_chat.py BASE_URL`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from telling import PARAMETERS, Job, Person, Seen, serve

TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]


def summarise(seen: Seen, message: Any) -> None:
    seen.result, seen.text = message.model_dump(), message.text
    seen.finish = message.response_metadata.get("finish_reason") or message.response_metadata.get("status")
    seen.tool_calls = [[call["name"], call["args"]] for call in message.tool_calls]
    if message.usage_metadata:
        seen.count(message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"])


class Apis:
    """Chat completions, responses and embeddings."""

    def __init__(self, base: str) -> None:
        self.options: dict[str, Any] = {"base_url": f"{base}/v1", "api_key": "k"}

    async def chat(self, job: Job, seen: Seen) -> None:
        await self.invoke(job, seen, responses=False)

    async def responses(self, job: Job, seen: Seen) -> None:
        await self.invoke(job, seen, responses=True)

    async def invoke(self, job: Job, seen: Seen, responses: bool) -> None:
        model: Any = ChatOpenAI(
            model=job.model, default_headers=job.headers, stream_usage=True, use_responses_api=responses, **self.options
        )
        if job.scenario == "structured":
            answer = await model.with_structured_output(Person, include_raw=True).ainvoke(job.prompt)
            summarise(seen, answer["raw"])
            seen.result["parsed"] = answer["parsed"].model_dump()
            return
        if job.with_tools:
            model = model.bind_tools(TOOLS)
        if job.streamed:
            await self.stream(job, seen, model)
        else:
            summarise(seen, await model.ainvoke(job.prompt))

    async def stream(self, job: Job, seen: Seen, model: Any) -> None:
        whole, stream = None, model.astream(job.prompt)
        async for chunk in stream:
            seen.add(chunk)
            whole = chunk if whole is None else whole + chunk
            if job.enough(seen):
                break
        else:
            summarise(seen, whole)
        await stream.aclose()

    async def embeddings(self, job: Job, seen: Seen) -> None:
        # Without the context check, which would fetch a tokenizer from the network.
        model = OpenAIEmbeddings(
            model=job.model, default_headers=job.headers, check_embedding_ctx_length=False, **self.options
        )
        seen.result = await model.aembed_documents([job.prompt, "and another"])


def main(base: str) -> None:
    apis = Apis(base)
    asyncio.run(serve({name: getattr(apis, name) for name in ("chat", "responses", "embeddings")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
