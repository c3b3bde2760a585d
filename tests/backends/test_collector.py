"""A real OpenTelemetry Collector sees what the official SDKs' users did, what it cost and how it was judged."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import anthropic
import openai
import pytest
import uvloop

from sidelight.demo.children import first_line, python_child
from tests.backends.otelcol import Collector
from tests.e2e.conftest import ANSWER
from tests.support.otlp_receiver import logs_in, metrics_in, spans_in
from tests.support.running import PATIENCE, running, until
from tests.support.upstream import ScriptedUpstream

pytestmark = pytest.mark.backends

KEY = "sk-Zq7Xv3Kp9abcdefghijklmnop"
EMAIL = "jane.doe@private.example"
WORD = "periwinkle"  # in every question
QUESTION: Any = [{"role": "user", "content": f"Is a {WORD} bicycle chain any good? Write to {EMAIL}."}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [{"name": "weather", "input_schema": PARAMETERS}]
TRACE_ID, CALLER_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{TRACE_ID}-{CALLER_ID}-01", "tracestate": "vendor=1"}
BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello?"}]}'
SPEED = "20"
SLACK = 0.05  # seconds by which two processes may see the same moment differently

SECONDS = [0.01 * 2**power for power in range(14)]
TOKENS = [4.0**power for power in range(14)]
HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
METRICS: dict[str, tuple[str, str, list[float] | None]] = {
    "http.server.request.duration": ("histogram", "s", HTTP_SECONDS),
    "http.client.request.duration": ("histogram", "s", HTTP_SECONDS),
    "gen_ai.client.inference.duration": ("histogram", "s", SECONDS),
    "gen_ai.client.inference.time_to_first_chunk": ("histogram", "s", SECONDS),
    "gen_ai.client.inference.time_per_output_chunk": ("histogram", "s", SECONDS),
    "gen_ai.client.inference.operation.input_tokens": ("histogram", "{token}", TOKENS),
    "gen_ai.client.inference.operation.output_tokens": ("histogram", "{token}", TOKENS),
    "gen_ai.client.inference.usage.input_tokens": ("sum", "{token}", None),
    "gen_ai.client.inference.usage.output_tokens": ("sum", "{token}", None),
    "gen_ai.client.operation.duration": ("histogram", "s", SECONDS),
    "gen_ai.client.operation.time_to_first_chunk": ("histogram", "s", SECONDS),
    "gen_ai.client.operation.time_per_output_chunk": ("histogram", "s", SECONDS),
    "gen_ai.client.token.usage": ("histogram", "{token}", TOKENS),
    "sidelight.evaluation.outcomes": ("sum", "{outcome}", None),
    "sidelight.exporter.sent": ("sum", "{exchange}", None),
}
CUMULATIVE = 2

# What the conventions' message schemas ask of each kind of part.
MEMBERS = {"text": {"content"}, "tool_call": {"name"}, "tool_call_response": {"response"}, "reasoning": {"content"}}


class Told(NamedTuple):
    """What the SDK told its user; times in seconds after `began`, which is in ns since the epoch."""

    began: int
    took: float
    first_chunk: float | None
    id: str
    provider: str
    models: tuple[str, str]  # asked for, answered
    tokens: tuple[int, int]  # in, out
    finish: str
    text: str


class Trace(NamedTuple):
    """What the Collector has about one call."""

    server: dict[str, Any]
    client: dict[str, Any]
    evaluations: list[dict[str, Any]]
    events: list[dict[str, Any]]


class Seen(NamedTuple):
    """One run: what the users were told, and what the Collector has."""

    told: dict[str, Told]
    spans: list[dict[str, Any]]
    events: list[dict[str, Any]]
    metrics: dict[str, dict[str, Any]]  # as they stood last
    temporalities: set[int]
    written: bytes
    log: str
    upstream: str

    def trace(self, call: str) -> Trace:
        return self.trace_where("gen_ai.response.id", self.told[call].id)

    def trace_where(self, key: str, value: str) -> Trace:
        """The only call whose CLIENT span has this attribute."""
        (client,) = (span for span in self.of("CLIENT") if span["attributes"].get(key) == value)
        (server,) = (span for span in self.of("SERVER") if span["span_id"] == client["parent_span_id"])
        evaluations = [span for span in self.of("INTERNAL") if span["parent_span_id"] == client["span_id"]]
        return Trace(server, client, evaluations, [e for e in self.events if e["span_id"] == client["span_id"]])

    def of(self, kind: str) -> Iterator[dict[str, Any]]:
        return (span for span in self.spans if span["kind"] == kind)

    def total(self, metric: str, of: str, **attributes: str) -> Any:
        """The sum over a metric's points, of those alone that have these attributes when some are given."""
        points = self.metrics[metric]["points"]
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}.items()
        return sum(point[of] for point in points if wanted <= point["attributes"].items())


# The calls


async def openai_plain(base: str) -> Told:
    async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=KEY, max_retries=0) as client:
        began, start = time.time_ns(), time.perf_counter()
        answer = await client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, temperature=0.5, max_tokens=300, extra_headers=CALLER
        )
        took = time.perf_counter() - start
    assert answer.usage is not None
    tokens = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    said, models = answer.choices[0], ("gpt-4o", answer.model)
    text = said.message.content or ""
    return Told(began, took, None, answer.id, "openai", models, tokens, said.finish_reason, text)


async def openai_stream(base: str, user: str = "answer:1") -> Told:
    async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=KEY, max_retries=0) as client:
        began, start = time.time_ns(), time.perf_counter()
        chunks: Any = await client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, user=user, stream=True, stream_options={"include_usage": True}
        )
        arrived = [(time.perf_counter() - start, chunk) async for chunk in chunks]
    said = [(at, choice) for at, chunk in arrived for choice in chunk.choices]
    first_chunk = next(at for at, choice in said if choice.delta.content)
    text = "".join(choice.delta.content or "" for _, choice in said)
    took, last = arrived[-1]
    tokens, models = (last.usage.prompt_tokens, last.usage.completion_tokens), ("gpt-4o", last.model)
    return Told(began, took, first_chunk, last.id, "openai", models, tokens, said[-1][1].finish_reason, text)


async def anthropic_plain(base: str) -> Told:
    async with anthropic.AsyncAnthropic(base_url=base, api_key=KEY, max_retries=0) as client:
        began, start = time.time_ns(), time.perf_counter()
        answer = await client.messages.create(
            model="claude-simulated", system="Be kind.", messages=QUESTION, max_tokens=500
        )
        return anthropic_told(answer, began, time.perf_counter() - start, None)


async def anthropic_stream(base: str) -> Told:
    async with anthropic.AsyncAnthropic(base_url=base, api_key=KEY, max_retries=0) as client:
        began, start, first_chunk = time.time_ns(), time.perf_counter(), None
        async with client.messages.stream(
            model="claude-simulated", messages=QUESTION, max_tokens=500, tools=TOOLS, extra_headers=CALLER
        ) as stream:
            async for event in stream:
                if event.type == "content_block_delta" and first_chunk is None:
                    first_chunk = time.perf_counter() - start
        answer = await stream.get_final_message()
        return anthropic_told(answer, began, time.perf_counter() - start, first_chunk)


def anthropic_told(answer: Any, began: int, took: float, first_chunk: float | None) -> Told:
    finish = {"end_turn": "stop", "tool_use": "tool_call"}[answer.stop_reason]
    tokens, models = (answer.usage.input_tokens, answer.usage.output_tokens), ("claude-simulated", answer.model)
    text = "".join(part.text for part in answer.content if part.type == "text")
    return Told(began, took, first_chunk, answer.id, "anthropic", models, tokens, finish, text)


CALLS: dict[str, Callable[[str], Awaitable[Told]]] = {
    "openai": openai_plain,
    "openai stream": openai_stream,
    "openai refusal": lambda base: openai_stream(base, "refusal_in_words:1"),
    "anthropic": anthropic_plain,
    "anthropic stream": anthropic_stream,
}
WITH_A_CALLER = {"openai", "anthropic stream"}
STREAMED = {"openai stream", "openai refusal", "anthropic stream"}


async def rate_limited(base: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=KEY, max_retries=0) as client:
        with suppress(openai.RateLimitError):
            await client.chat.completions.create(model="gpt-4o", messages=QUESTION, user="rate_limit:1")


# The runs


async def observed(folder: Path, protocol: str, content: str) -> Seen:
    """Every call through Sidelight, which is then stopped, and after it the Collector."""
    collector = Collector(folder)
    otlp = {"protocol": protocol, "endpoint": collector.endpoints[protocol], "content": content}
    if protocol == "http/json":
        otlp["compression"] = "zstd"
    simulator = ("sidelight.demo.simulator", "--port", "0", "--speed", SPEED)
    sections: dict[str, Any] = {
        "processors": {"truncation": {}, "pii": {"side": "output"}, "tool_arguments": {}},
        "exporters": {"otlp": otlp},
        "service": {"name": "support-bot", "environment": "staging"},
    }
    async with collector.running(), python_child(*simulator, log=folder / "simulator.log", piped=True) as endpoint:
        upstream = (await first_line(endpoint, PATIENCE)).removeprefix("listening on ")
        async with running(folder, upstream, **sections) as run:
            told = {name: await call(run.url) for name, call in CALLS.items()}
            await rate_limited(run.url)
            await run.settled(len(CALLS) + 1)
    return what_it_has(collector, told, run.logged(), upstream)


def what_it_has(collector: Collector, told: dict[str, Told], log: str, upstream: str) -> Seen:
    traces, logs, metrics = (collector.received(signal) for signal in ("traces", "logs", "metrics"))
    return Seen(
        told,
        [span for request in traces for span in spans_in(request)],
        [event for request in logs for event in logs_in(request)],
        {metric["name"]: metric for request in metrics for metric in metrics_in(request)},
        {temporality for request in metrics for temporality in temporalities_in(request)},
        b"".join(map(collector.written, ("traces", "logs", "metrics"))),
        log,
        upstream,
    )


def temporalities_in(request: Any) -> Iterator[int]:
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.WhichOneof("data") != "gauge":
                    yield getattr(metric, metric.WhichOneof("data")).aggregation_temporality


@pytest.fixture(scope="module", params=["http/protobuf", "http/json", "grpc"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What the Collector has after one run with `content: off`, by either transport."""
    return uvloop.run(observed(tmp_path_factory.mktemp("collector"), request.param, "off"))


# What it sees


def test_every_call_is_one_tree_below_its_caller(seen: Seen) -> None:
    for call in CALLS:
        server, client, evaluations, _ = seen.trace(call)
        route, model = server["attributes"]["http.route"], seen.told[call].models[0]
        ids = {span["trace_id"] for span in (server, client, *evaluations)}
        assert (ids == {TRACE_ID}) == (call in WITH_A_CALLER), call
        assert len(ids) == 1, call
        assert server["parent_span_id"] == (CALLER_ID if call in WITH_A_CALLER else ""), call
        assert server["trace_state"] == ("vendor=1" if call in WITH_A_CALLER else ""), call
        assert (server["name"], client["name"]) == (f"POST {route}", f"chat {model}"), call
        assert {span["name"] for span in evaluations} >= {"evaluate refusal", "evaluate latency", "evaluate pii"}, call
        assert [span["status"] for span in (server, client, *evaluations)] == [0] * (2 + len(evaluations)), call
    assert len({span["span_id"] for span in seen.spans}) == len(seen.spans)


def test_times_are_those_of_the_call_and_evaluations_come_after_it(seen: Seen) -> None:
    for call, told in seen.told.items():
        server, client, evaluations, events = seen.trace(call)
        assert told.began - SLACK * 1e9 <= server["start"] <= client["start"] < client["end"] <= server["end"], call
        assert (server["end"] - server["start"]) / 1e9 <= told.took + SLACK, call
        assert all(client["end"] < span["start"] <= span["end"] for span in evaluations), call
        assert {event["time"] for event in events} == {span["end"] for span in evaluations}, call


def test_the_client_span_says_what_the_sdk_told_its_user(seen: Seen) -> None:
    host, _, port = seen.upstream.removeprefix("http://").partition(":")
    for call, told in seen.told.items():
        said = seen.trace(call).client["attributes"]
        assert said["gen_ai.operation.name"] == "chat", call
        assert said["gen_ai.provider.name"] == told.provider, call
        assert (said["gen_ai.request.model"], said["gen_ai.response.model"]) == told.models, call
        assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == told.tokens, call
        assert said["gen_ai.response.finish_reasons"] == [told.finish], call
        assert (said["server.address"], said["server.port"]) == (host, int(port)), call
        assert said.get("gen_ai.request.stream", False) == (call in STREAMED), call
        assert "error.type" not in said, call
    plain = seen.trace("openai").client["attributes"]
    assert (plain["gen_ai.request.temperature"], plain["gen_ai.request.max_tokens"]) == (0.5, 300)


def test_the_time_to_the_first_chunk_is_the_users(seen: Seen) -> None:
    for call, told in seen.told.items():
        client = seen.trace(call).client
        waited = client["attributes"].get("gen_ai.response.time_to_first_chunk")
        if told.first_chunk is None:
            assert waited is None, call
        else:
            assert 0 < waited <= told.first_chunk + SLACK, call
            assert waited < (client["end"] - client["start"]) / 1e9, call


def test_the_server_span_is_about_http_alone(seen: Seen) -> None:
    for call in CALLS:
        said = seen.trace(call).server["attributes"]
        path = "/v1/messages" if call.startswith("anthropic") else "/v1/chat/completions"
        assert (said["url.path"], said["http.route"], said["url.scheme"]) == (path, path, "http"), call
        assert (said["http.request.method"], said["http.response.status_code"]) == ("POST", 200), call
        assert (said["client.address"], said["network.protocol.version"]) == ("127.0.0.1", "1.1"), call
        assert "Python" in said["user_agent.original"], call
        assert not [key for key in said if key.startswith("gen_ai.")], call


def test_a_refused_call_is_an_error_of_the_client_span_alone(seen: Seen) -> None:
    server, client, _, _ = seen.trace_where("error.type", "429")
    assert (server["status"], client["status"]) == (0, 2)
    assert server["attributes"]["http.response.status_code"] == 429
    assert "error.type" not in server["attributes"]


def test_every_judgement_is_an_event_on_the_span_it_judges(seen: Seen) -> None:
    keys = ("gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label")
    for call, told in seen.told.items():
        _, client, evaluations, events = seen.trace(call)
        assert {(event["event_name"], event["trace_id"]) for event in events} == {
            ("gen_ai.evaluation.result", client["trace_id"])
        }, call
        assert {event["attributes"]["gen_ai.response.id"] for event in events} == {told.id}, call
        by_events, by_spans = (
            sorted(tuple(each["attributes"][key] for key in keys) for each in every) for every in (events, evaluations)
        )
        assert by_events == by_spans, call
        failed = {name for name, _, label in by_events if label == "fail"}
        assert failed == ({"refusal"} if call == "openai refusal" else set()), call
        assert client["attributes"].get("sidelight.failed", []) == sorted(failed), call


def test_metrics_have_the_conventions_names_units_and_buckets(seen: Seen) -> None:
    for name, expected in METRICS.items():
        metric = seen.metrics[name]
        bounds = metric["points"][0].get("bounds")
        assert (metric["kind"], metric["unit"], bounds and pytest.approx(bounds)) == expected, name
    assert seen.temporalities == {CUMULATIVE}


def test_metrics_add_up_to_the_calls(seen: Seen) -> None:
    calls, told = len(CALLS) + 1, seen.told.values()
    for name in ("http.server.request.duration", "http.client.request.duration", "gen_ai.client.inference.duration"):
        assert seen.total(name, "count") == calls, name
    durations = [(span["end"] - span["start"]) / 1e9 for span in seen.of("CLIENT")]
    assert seen.total("gen_ai.client.inference.duration", "sum") == pytest.approx(sum(durations))
    assert seen.total("gen_ai.client.inference.duration", "count", error__type="429") == 1
    assert seen.total("gen_ai.client.inference.time_to_first_chunk", "count") == len(STREAMED)
    for position, way in enumerate(("input", "output")):
        tokens = sum(each.tokens[position] for each in told)
        assert seen.total(f"gen_ai.client.inference.usage.{way}_tokens", "value") == tokens
        assert seen.total("gen_ai.client.token.usage", "sum", gen_ai__token__type=way) == tokens
    assert seen.total("sidelight.evaluation.outcomes", "value", evaluator="refusal", outcome="fail") == 1
    assert seen.total("sidelight.exporter.sent", "value") == calls


def test_everything_says_who_is_telling(seen: Seen) -> None:
    resources = [each["resource"] for each in (*seen.spans, *seen.events, *seen.metrics.values())]
    assert all(resource == resources[0] for resource in resources)
    assert resources[0]["service.name"] == "support-bot"
    assert resources[0]["deployment.environment.name"] == "staging"
    assert resources[0].keys() >= {"service.instance.id", "host.name", "telemetry.sdk.name"}


def test_neither_credentials_nor_content_leave(seen: Seen) -> None:
    secrets = [KEY, EMAIL, WORD, *(told.text for told in seen.told.values() if told.text)]
    assert [secret for secret in secrets if secret.encode() in seen.written] == []


def test_a_good_run_logs_nothing_but_its_start_and_its_end(seen: Seen) -> None:
    start, end = seen.log.splitlines()
    assert start.startswith("sidelight ")
    assert "INFO sidelight.supervisor: stopping" in end


def test_redacted_content_leaves_in_the_conventions_form(tmp_path: Path) -> None:
    seen = uvloop.run(observed(tmp_path, "http/protobuf", "redacted"))
    assert KEY.encode() not in seen.written
    assert EMAIL.encode() not in seen.written
    for call, told in seen.told.items():
        said = seen.trace(call).client["attributes"]
        asked, answered = (json.loads(said[f"gen_ai.{side}.messages"]) for side in ("input", "output"))
        assert [message["role"] for message in (*asked, *answered)] == ["user", "assistant"], call
        assert [message["finish_reason"] for message in answered] == [told.finish], call
        parts = [part for message in (*asked, *answered) for part in message["parts"]]
        assert all(MEMBERS[part["type"]] <= part.keys() for part in parts), call
        assert WORD in parts[0]["content"], call
        assert [part["content"] for part in parts[1:] if part["type"] == "text"] == [told.text][: bool(told.text)], call
    anthropic_said = seen.trace("anthropic").client["attributes"]
    assert json.loads(anthropic_said["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be kind."}]
    (tool,) = json.loads(seen.trace("anthropic stream").client["attributes"]["gen_ai.tool.definitions"])
    assert (tool["type"], tool["name"], tool["parameters"]) == ("function", "weather", PARAMETERS)


async def some_calls(base: str, count: int = 5) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(count):
            async with session.post(f"{base}/v1/chat/completions", data=BODY) as response:
                assert await response.read() == ANSWER


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
async def test_an_outage_of_the_collector_loses_nothing(
    tmp_path: Path, constant: ScriptedUpstream, protocol: str
) -> None:
    collector = Collector(tmp_path)
    otlp = {"protocol": protocol, "endpoint": collector.endpoints[protocol]}
    async with AsyncExitStack() as until_the_end:
        async with running(tmp_path, constant.url, exporters={"otlp": otlp}) as run:
            async with collector.running():
                await some_calls(run.url)
                await until(lambda: collector.written("logs") != b"")
            await some_calls(run.url)
            await run.says("WARNING pipeline.delivery: exporter otlp:")
            await some_calls(run.url)
            await until_the_end.enter_async_context(collector.running())
            await run.says("exporter otlp works again")
            await some_calls(run.url)
        ids = {row[0] for row in await run.rows("SELECT id FROM exchange")}
    seen = what_it_has(collector, {}, run.logged(), constant.url)
    assert {span["attributes"]["sidelight.exchange.id"] for span in seen.of("CLIENT")} == ids
    assert seen.total("sidelight.exporter.sent", "value") == len(ids) == 20
    assert seen.total("sidelight.exporter.retries", "value") >= 1
    assert "sidelight.exporter.send_failed" not in seen.metrics
