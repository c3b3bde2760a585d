"""The google-genai package for Python: `google_genai.py BASE_URL sync|async`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from google import genai
from google.genai import types
from telling import PARAMETERS, Job, Person, Seen, each, serve, settled

TOOLS = [types.Tool(function_declarations=[{"name": "weather", "parameters_json_schema": PARAMETERS}])]


def take(seen: Seen, answer: Any) -> None:
    """One answer, or one chunk of a streamed one."""
    for candidate in answer.candidates or []:
        seen.finish = candidate.finish_reason.value if candidate.finish_reason else seen.finish
        for part in candidate.content.parts or [] if candidate.content else []:
            seen.text += part.text or ""
            if part.function_call:
                seen.tool_calls.append([part.function_call.name, part.function_call.args])
    if usage := answer.usage_metadata:
        seen.count(usage.prompt_token_count, usage.candidates_token_count)


class Models:
    """The models API, synchronous or not."""

    def __init__(self, base: str, mode: str) -> None:
        self.base, self.mode = base, mode

    def models(self, job: Job) -> Any:
        retry = types.HttpRetryOptions(attempts=3, initial_delay=0.1, max_delay=1)
        options = types.HttpOptions(
            base_url=self.base, api_version="v1beta", headers=job.headers, retry_options=retry, timeout=60_000
        )
        self.client = genai.Client(api_key="k", http_options=options)
        return self.client.aio.models if self.mode == "async" else self.client.models

    async def generate(self, job: Job, seen: Seen) -> None:
        config = types.GenerateContentConfig()
        if job.with_tools:
            config.tools = TOOLS
            config.automatic_function_calling = types.AutomaticFunctionCallingConfig(disable=True)
        if job.scenario == "structured":
            config.response_mime_type, config.response_schema = "application/json", Person
        ask = {"model": job.model, "contents": job.prompt, "config": config}
        if not job.streamed:
            answer = await settled(self.models(job).generate_content(**ask))
            seen.result = answer.model_dump(mode="json")
            return take(seen, answer)
        stream = await settled(self.models(job).generate_content_stream(**ask))
        async for chunk in each(stream):
            seen.add(chunk)
            take(seen, chunk)
            if job.enough(seen):
                break
        await settled(stream.aclose() if hasattr(stream, "aclose") else stream.close())


def main(base: str, mode: str) -> None:
    asyncio.run(serve({"gemini": Models(base, mode).generate}))


if __name__ == "__main__":
    main(*sys.argv[1:])
