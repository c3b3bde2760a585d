"""Each preset is a whole configuration, and tells its backend what it takes and no more, as a real run shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import pytest

from sidelight.demo import free_addresses
from sidelight.supervisor import settings_of
from tests.support.configured import tree_in
from tests.support.json_backend import JsonBackend, Posted, json_backend
from tests.support.otlp_receiver import OtlpReceiver, Received
from tests.support.running import running
from tests.support.simulated import simulated_endpoint

ROOT = Path(__file__).parents[2]
PRESETS, DOCUMENT = ROOT / "deploy" / "presets", ROOT / "docs" / "deploying.md"
WORD, EMAIL = "periwinkle", "jane.doe@private.example"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"Is a {WORD} chain any good? Write to {EMAIL}."}]}

Headers = Mapping[str, str]


class Backend(NamedTuple):
    """What it needs to be told, and what it takes where."""

    environment: Mapping[str, str]
    endpoints: tuple[str, ...]
    takes: Mapping[str, Headers]  # by path: the headers it goes by
    dialects: tuple[str, ...]
    shows_texts: bool = False
    temporality: str | None = None  # of histograms; None: it takes no metrics
    judged_at: Mapping[str, Headers] = {}  # by path: where it takes evaluations by an API of its own


BACKENDS = {
    "tempo-loki": Backend(
        {},
        ("http://tempo:4318", "http://loki:3100/otlp"),
        {"/v1/traces": {"x-scope-orgid": "sidelight"}, "/otlp/v1/logs": {"x-scope-orgid": "sidelight"}},
        ("genai", "genai"),
    ),
    "phoenix": Backend(
        {"PHOENIX_API_KEY": "phoenix-key"},
        ("http://phoenix:6006",),
        {"/v1/traces": {"authorization": "Bearer phoenix-key", "x-project-name": "sidelight"}},
        ("openinference",),
        shows_texts=True,
        judged_at={"/v1/span_annotations": {"authorization": "Bearer phoenix-key"}},
    ),
    "langfuse": Backend(
        {"LANGFUSE_AUTH": "cGs6c2s="},
        ("https://cloud.langfuse.com/api/public/otel",),
        {"/api/public/otel/v1/traces": {"authorization": "Basic cGs6c2s=", "x-langfuse-ingestion-version": "4"}},
        ("langfuse",),
        shows_texts=True,
        judged_at={"/api/public/scores": {"authorization": "Basic cGs6c2s="}},
    ),
    "datadog": Backend(
        {},
        ("http://127.0.0.1:4318",),
        {"/v1/traces": {}, "/v1/metrics": {}},
        ("genai",),
        temporality="DELTA",
    ),
}
ELSEWHERE = {
    "tempo-loki": ({"TEMPO_URL": "http://a:1", "LOKI_URL": "http://b:2"}, ("http://a:1", "http://b:2/otlp")),
    "phoenix": ({"PHOENIX_URL": "https://app.phoenix.arize.com/s/me"}, ("https://app.phoenix.arize.com/s/me",)),
    "langfuse": ({"LANGFUSE_URL": "http://localhost:3000"}, ("http://localhost:3000/api/public/otel",)),
    "datadog": ({"DD_AGENT_HOST": "10.0.0.1"}, ("http://10.0.0.1:4318",)),
}
MARKS = {"openinference": "openinference.span.kind", "langfuse": "langfuse.observation.type"}  # of a dialect's spans
OURS = {"user-agent", "content-type", "content-encoding", "content-length", "host", "accept", "accept-encoding"}


def preset(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    return tree_in((PRESETS / f"{name}.yaml").read_text(), environment)


def senders(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options of each OTLP exporter."""
    return [options for name, options in tree["exporters"].items() if name.partition("/")[0] == "otlp"]


def judges(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options of each exporter to an API of its backend's own."""
    return [
        options for name, options in tree["exporters"].items() if name in ("phoenix_annotations", "langfuse_scores")
    ]


def test_every_preset_is_tried_here_and_in_the_documents() -> None:
    files = {file.stem for file in PRESETS.iterdir()}
    assert files == set(BACKENDS) == set(ELSEWHERE)
    assert all(f"(../deploy/presets/{name}.yaml)" in DOCUMENT.read_text() for name in files)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_preset_is_valid_and_names_its_backend(name: str) -> None:
    backend = BACKENDS[name]
    tree = preset(name, backend.environment)
    assert tuple(options["endpoint"] for options in senders(tree)) == backend.endpoints
    assert tuple(options.get("dialect", "genai") for options in senders(tree)) == backend.dialects
    settings_of(tree)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_may_be_elsewhere(name: str) -> None:
    environment, endpoints = ELSEWHERE[name]
    tree = preset(name, {**BACKENDS[name].environment, **environment})
    assert tuple(options["endpoint"] for options in senders(tree)) == endpoints


def test_presets_differ_in_their_exporters_alone() -> None:
    trees = [preset(name, backend.environment) for name, backend in BACKENDS.items()]
    assert all({**tree, "exporters": {}} == {**trees[0], "exporters": {}} for tree in trees)


def before(receiver: OtlpReceiver, own_api: JsonBackend, tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The sections that a run needs, with these two in the place of every backend and everything kept."""
    (page,) = free_addresses(1)
    for options in senders(tree):
        here = urlsplit(receiver.endpoint)
        options["endpoint"] = urlsplit(options["endpoint"])._replace(scheme=here.scheme, netloc=here.netloc).geturl()
    for options in judges(tree):
        options["endpoint"] = own_api.endpoint
    exporters = {**tree["exporters"], "store": {"path": str(folder / "store.db")}}
    if "prometheus" in exporters:
        exporters["prometheus"] = {"listen": page}
    return {"exporters": exporters, "processors": {**tree["processors"], "sample": {"ratio": 1}}}


@pytest.mark.e2e
@pytest.mark.parametrize("name", BACKENDS)
async def test_a_run_tells_a_backend_what_it_takes_and_no_more(tmp_path: Path, name: str) -> None:
    backend = BACKENDS[name]
    async with (
        OtlpReceiver() as receiver,
        json_backend() as own_api,
        simulated_endpoint() as upstream,
        aiohttp.ClientSession() as session,
    ):
        sections = before(receiver, own_api, preset(name, backend.environment), tmp_path)
        async with running(tmp_path, upstream, **sections) as run:
            async with session.post(f"{run.url}/v1/chat/completions", json=BODY) as answer:
                assert answer.status == 200
            await run.settled(1)
    assert {request.path for request in receiver.requests} == set(backend.takes)
    assert all(request.accepted and request.compressed for request in receiver.requests)
    assert {request.path: own_headers(request) for request in receiver.requests} == backend.takes
    kinds = [span["kind"] for span in receiver.spans]
    assert (kinds.count("SERVER"), kinds.count("CLIENT")) == (1, 1)
    assert "INTERNAL" in kinds  # evaluations
    dialects = {name for span in receiver.spans for name in MARKS if MARKS[name] in span["attributes"]}
    assert dialects == set(backend.dialects) - {"genai"}
    told = str([span["attributes"] for span in receiver.spans])
    assert (WORD in told) == backend.shows_texts
    assert EMAIL not in told
    temporalities = {metric["temporality"] for metric in receiver.metrics if metric["kind"] == "histogram"}
    assert temporalities == ({backend.temporality} if backend.temporality else set())

    assert {request.path: own_headers(request) for request in own_api.posted} == backend.judged_at
    assert not [request for request in own_api.posted if WORD in str(request.body)]


def own_headers(request: Received | Posted) -> Headers:
    """Those that the preset asked for."""
    return {name.lower(): value for name, value in request.headers.items() if name.lower() not in OURS}
