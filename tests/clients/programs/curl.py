"""curl and what of HTTP/1.1 it does that no SDK does: `curl.py BASE_URL`. The result is the message as it came."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

OPTIONS = ("--silent", "--show-error", "--include", "--max-time", "60", "--path-as-is")
PADDING = 2 * 2**20  # enough for curl to ask before it sends
JSON = "Content-Type: application/json"


def chat(job: dict[str, str], **more: object) -> bytes:
    return json.dumps(
        {"model": job["model"], "messages": [{"role": "user", "content": job["prompt"]}], **more}
    ).encode()


def posting(url: str, *options: str, headers: tuple[str, ...] = ()) -> list[str]:
    given = [option for header in (JSON, *headers) for option in ("-H", header)]
    return ["curl", *OPTIONS, *given, *options, f"{url}/v1/chat/completions"]


def arguments(scenario: str, url: str, header: str) -> list[str]:
    """The command line of a scenario, its body on standard input."""
    data = ("--data-binary", "@-")
    by_scenario: dict[str, Callable[[], list[str]]] = {
        "chunked": lambda: posting(url, "-X", "POST", "-T", "-", headers=(header,)),
        "expect": lambda: posting(url, *data, headers=(header, "Expect: 100-continue")),
        "compressed": lambda: posting(url, "--compressed", *data, headers=(header,)),
        "http10": lambda: posting(url, "--http1.0", *data, headers=(header,)),
        "no_keepalive": lambda: posting(url, *data, headers=(header, "Connection: close")),
        "head": lambda: ["curl", *OPTIONS, "-H", header, "--head", f"{url}/v1/models"],
        "get": lambda: ["curl", *OPTIONS, "-H", header, f"{url}/v1/models"],
        "unknown_path": lambda: ["curl", *OPTIONS, "-H", header, "-X", "DELETE", f"{url}/a//b/%7Ec?x=1&x=%20"],
        "answered_early": lambda: ["curl", *OPTIONS, "-H", header, "-H", "Expect:", *data, f"{url}/nowhere"],
        "keepalive": lambda: [
            *posting(url, "-d", chat({"model": "gpt-4o", "prompt": "Say good morning"}).decode(), headers=(header,)),
            *["--next", *posting(url, *data, "-w", "\nconnections %{num_connects}\n", headers=(header,))[1:]],
        ],
    }
    return by_scenario.get(scenario, lambda: posting(url, "--no-buffer", *data, headers=(header,)))()


def body(job: dict[str, str]) -> bytes:
    if job["scenario"] in ("head", "get", "unknown_path"):
        return b""
    if job["scenario"] in ("expect", "answered_early"):
        return chat(job, metadata={"padding": "x" * PADDING})
    streamed = job["scenario"] in ("stream", "cut")
    return chat(job, stream=True, stream_options={"include_usage": True}) if streamed else chat(job)


def run(job: dict[str, str], base: str, header: str) -> dict[str, object]:
    command = arguments(job["scenario"], base, header)
    done = subprocess.run(command, input=body(job), capture_output=True, check=False)
    error = {"class": "curl", "status": done.returncode, "message": done.stderr.decode()} if done.returncode else None
    return {"result": done.stdout.decode("utf-8", "surrogateescape"), "error": error}


def main(base: str) -> None:
    for line in sys.stdin:
        job = json.loads(line)
        (header,) = (f"{name}: {value}" for name, value in job.pop("headers").items())
        told = {"api": job["api"], "scenario": job["scenario"], **run(job, base, header)}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
