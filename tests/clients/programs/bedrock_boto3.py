"""boto3's Bedrock runtime client: converse, and its stream in the binary framing: `bedrock_boto3.py BASE_URL`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import boto3
from botocore.config import Config
from telling import PARAMETERS, Job, Seen, plain, serve

TOOL = {"toolSpec": {"name": "weather", "inputSchema": {"json": PARAMETERS}}}


def take_event(seen: Seen, event: Any) -> None:
    if start := event.get("contentBlockStart", {}).get("start", {}).get("toolUse"):
        seen.tool_calls.append([start["name"], ""])
    delta = event.get("contentBlockDelta", {}).get("delta", {})
    seen.text += delta.get("text", "")
    if "toolUse" in delta:
        seen.tool_calls[-1][1] += delta["toolUse"]["input"]
    seen.finish = event.get("messageStop", {}).get("stopReason", seen.finish)
    if usage := event.get("metadata", {}).get("usage"):
        seen.count(usage["inputTokens"], usage["outputTokens"])


def summarise(seen: Seen, answer: Any) -> None:
    seen.result = plain({key: value for key, value in answer.items() if key != "ResponseMetadata"})
    seen.finish = answer["stopReason"]
    for block in answer["output"]["message"]["content"]:
        seen.text += block.get("text", "")
        if call := block.get("toolUse"):
            seen.tool_calls.append([call["name"], call["input"]])
    seen.count(answer["usage"]["inputTokens"], answer["usage"]["outputTokens"])


def main(base: str) -> None:
    config = Config(retries={"mode": "standard", "total_max_attempts": 3})
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "eu-north-1"}
    runtime: Any = boto3.client("bedrock-runtime", endpoint_url=base, config=config, **keys)
    headers: dict[str, str] = {}
    runtime.meta.events.register(
        "before-sign", lambda request, **_: [request.headers.add_header(*h) for h in headers.items()]
    )

    async def converse(job: Job, seen: Seen) -> None:
        headers.clear()
        headers.update(job.headers)
        ask: dict[str, Any] = {"modelId": job.model, "messages": [{"role": "user", "content": [{"text": job.prompt}]}]}
        if job.with_tools:
            ask["toolConfig"] = {"tools": [TOOL]}
        if not job.streamed:
            return summarise(seen, runtime.converse(**ask))
        stream = runtime.converse_stream(**ask)["stream"]
        for event in stream:
            seen.add(event)
            take_event(seen, event)
            if job.enough(seen):
                break
        stream.close()

    asyncio.run(serve({"converse": converse}))


if __name__ == "__main__":
    main(*sys.argv[1:])
